"""The Python rules of Bazel before 7, as @rules_python names them. Later versions of Bazel never load this file."""

py_binary = native.py_binary
py_library = native.py_library
py_test = native.py_test
