"""The pages and drawings of this folder, made from the profiles: `python -m hardware` writes them."""
