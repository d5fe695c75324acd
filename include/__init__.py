"""Everything of Throughline that is worth testing: the one importable package of the deployment."""
