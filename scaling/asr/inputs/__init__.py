"""What a model reads: audio at its charged length, augmentation, features, and cached outputs of frozen encoders,
prepared ahead of the step that needs them. Nothing here learns.
"""
