"""What a run is, what it costs, and how one is trained. `asr` trains and is the only package here that imports torch;
the other packages count, read and record. Nothing here knows studies or sweeps, and nothing here fits a law.
"""
