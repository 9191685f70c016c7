"""What a model reads: audio at its charged length, augmentation, features, and cached outputs of frozen encoders,
prefetched before the step that needs them. Nothing in this package learns.
"""
