from pathlib import Path

from setuptools import find_packages, setup

README = Path(__file__).with_name("README.md")
DOCUMENTATION = ["mkdocs-material", "mkdocstrings-python"]

setup(
    name="fairdarts_tf",
    version="0.1.0",
    description="FairDARTS, differentiable architecture search without unfair competition, for TensorFlow and Keras",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["fairdarts_tf", "fairdarts_tf.*"]), "fairdarts_tf.configs"],
    package_dir={"fairdarts_tf.configs": "configs"},  # where fairdarts_tf/cli/configurations.py looks for them
    package_data={
        "fairdarts_tf": ["*.json", "py.typed"],
        "fairdarts_tf.configs": ["*.flags"],
        "fairdarts_tf.cli": ["completion_templates/*"],
        "fairdarts_tf.kernels": ["*.c", "*.h"],
        "fairdarts_tf.report": ["assets/*", "templates/*"],
    },
    install_requires=[
        "absl-py",
        "ai-edge-litert",
        "importlib_resources",  # tensorflow-datasets imports it and does not declare it
        "jinja2",
        "keras>=3.10",
        "keras-tuner",
        "markupsafe",
        "matplotlib",
        "numpy",
        "pillow",
        "pygraphviz>=2",  # its wheels hold Graphviz
        "scikit-learn",
        "tensorboard",
        "tensorflow>=2.19",
        "tensorflow-datasets>=4.9.10",
        "tqdm",
    ],
    extras_require={
        "dev": [
            *DOCUMENTATION,
            "build",
            "hypothesis",
            "ipykernel",
            "nbclient",
            "nbformat",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "setuptools>=77",  # builds the package in a test
        ],
        "docs": DOCUMENTATION,
        "gpu": ["tensorflow[and-cuda]>=2.19"],
        "torch": ["torch>=2.6"],
    },
    entry_points={
        "console_scripts": [
            "fairdarts-animate = fairdarts_tf.cli.animate:run",
            "fairdarts-benchmark = fairdarts_tf.cli.benchmark:run",
            "fairdarts-completion = fairdarts_tf.cli.completion:run",
            "fairdarts-derive = fairdarts_tf.cli.derive:run",
            "fairdarts-evaluate = fairdarts_tf.cli.evaluate:run",
            "fairdarts-export = fairdarts_tf.cli.export:run",
            "fairdarts-import-checkpoint = fairdarts_tf.cli.import_checkpoint:run",
            "fairdarts-measure-latency = fairdarts_tf.cli.measure_latency:run",
            "fairdarts-measure-data = fairdarts_tf.cli.measure_data:run",
            "fairdarts-predict = fairdarts_tf.cli.predict:run",
            "fairdarts-profile = fairdarts_tf.cli.profile:run",
            "fairdarts-random-search = fairdarts_tf.cli.random_search:run",
            "fairdarts-report = fairdarts_tf.cli.report:run",
            "fairdarts-search = fairdarts_tf.cli.search:run",
            "fairdarts-study = fairdarts_tf.cli.study:run",
            "fairdarts-train = fairdarts_tf.cli.train:run",
            "fairdarts-tune = fairdarts_tf.cli.tune:run",
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
