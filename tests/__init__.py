"""The tests: a mirror of the package, and the suites that cut across it (CONTRIBUTING.md says where what goes)."""
