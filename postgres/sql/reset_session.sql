-- What a target's trigger changed in the session must not change what later values mean.
RESET ALL
