"""What verbs other than `build` do, each as one function over a session. `images` needs nothing of a build."""
