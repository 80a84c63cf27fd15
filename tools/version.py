"""The version of this project, as every script's --version prints it."""

VERSION = "1.1.0"
