"""A trained recogniser in use: loaded from a run or an exported folder, it transcribes and exports. Nothing here
trains.
"""
