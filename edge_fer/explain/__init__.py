"""What a network looks at and how it orders faces: Grad-CAM, t-SNE, landmarks before and after."""
