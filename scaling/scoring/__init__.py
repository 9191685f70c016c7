"""Error rates of transcripts: normalisers of texts, edit counts, and error rates with intervals. Nothing here knows
where a transcript comes from.
"""
