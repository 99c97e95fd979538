"""Bringing over model repositories and folders of model files (`tritonbuild init`): read what is
there, say it in a manifest.
"""
