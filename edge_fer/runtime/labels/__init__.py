"""Labels over time: smoothing, resting faces, clips, how steady they are."""
