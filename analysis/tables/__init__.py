"""Tables of runs and of transcripts, from files or from Weights & Biases, and the points that laws are fitted to.
Nothing here fits.
"""
