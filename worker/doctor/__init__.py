"""Look a deployment over: what is wrong with it, in plain sentences, each with its remedy."""
