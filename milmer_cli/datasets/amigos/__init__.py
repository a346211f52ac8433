"""AMIGOS (Miranda-Correa et al., 2021): 40 participants, 16 short and 4 long clips.

Modules in data-flow order:

- `listing`: `list_amigos`, the trials as rows of a manifest
"""
