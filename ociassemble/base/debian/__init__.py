"""Distroless-style bases assembled from Debian packages: recipes as data (`recipes/*.json`), plans, images.

The image's shape is normative in specs/behaviour/debian-base.md, the recipes' in specs/schema/recipe.schema.json.
"""
