"""How networks that begin with small images grow while they are trained."""
