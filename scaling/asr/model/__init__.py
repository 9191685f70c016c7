"""The recogniser: encoder, projector and LLM with their adapters, its losses and its greedy decoders. Nothing here
knows of devices shared by processes, of files of a study, or of FLOPs.
"""
