"""Training and test speech as data: audio files, the layouts of corpora, manifests, lengths, and the order of batches.
Everything here is a function of the data, the tokenizers and the seed. Nothing here knows weights or FLOPs.
"""
