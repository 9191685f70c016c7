"""Training and test speech as data: audio files, the layouts of corpora, manifests, lengths, and the order of batches.
What is computed here is a function of the data and the seed alone. Nothing here knows a model's weights or its
cost.
"""
