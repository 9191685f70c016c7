"""Tables of runs and of transcripts, read from files or from Weights & Biases, and the points that laws are fitted to.
Nothing here fits a law.
"""
