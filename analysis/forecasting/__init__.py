"""The predictive distribution of a learning curve: which laws its points may follow, averaged by their evidence, with
the misfit that no law explains. Curves of one study share what they say about the laws. Everything here works on
arrays; nothing here knows tables, studies or files.
"""
