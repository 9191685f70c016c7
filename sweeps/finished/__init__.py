"""What is done with finished runs: transcribe with one, export it, describe it, merge tables of them. Models run in a
process of their own, the only one with torch.
"""
