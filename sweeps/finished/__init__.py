"""What is done with a finished run: transcribe with it, export it, describe it. Models run in a process of their own,
the only one with torch.
"""
