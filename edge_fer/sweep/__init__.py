"""Sweeps: many trainings that differ in chosen settings, each evaluated, and summed up."""
