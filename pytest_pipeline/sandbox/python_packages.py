"""The packages of a host that fine-tunes with PyTorch 2.5: releases that go together, and what each requires.

Requirements as in the metadata of these releases, without optional extras and with shorter chains at the edges.
"""

from __future__ import annotations

from pytest_pipeline.sandbox.python_plan import PackagePlan, PythonPlan, TorchPlan

_EAGER = "import torch\n"  # what imports PyTorch falls with it


def training_packages() -> dict[str, PackagePlan]:
    """Return what a healthy host has installed beside PyTorch, by name."""
    return {package.name: package for package in (*_training(), *_beneath(), *_beneath_torch())}


def training_python() -> PythonPlan:
    """Return a healthy host's own python3, with all that the training needs."""
    return PythonPlan(made_by="system", packages=training_packages(), torch=TorchPlan())


def training_environment() -> PythonPlan:
    """Return a virtual environment with all that the training needs."""
    return PythonPlan(packages=training_packages(), torch=TorchPlan())


def bare_python() -> PythonPlan:
    """Return a host's own python3 without anything of the training in it."""
    names = ("packaging", "requests", "pyyaml")
    packages = training_packages()
    return PythonPlan(made_by="system", packages={name: packages[name] for name in names})


def torch_requirements(torch: TorchPlan) -> tuple[str, ...]:
    """Return what a build of PyTorch requires."""
    requires: tuple[str, ...] = ("filelock", "typing-extensions>=4.8.0", "networkx", "jinja2", "fsspec")
    requires += ('sympy==1.13.1; python_version >= "3.9"',)
    if torch.cuda == "12.1":
        requires += ('nvidia-cuda-runtime-cu12==12.1.105; platform_system == "Linux"',)
        requires += ('triton==3.1.0; platform_system == "Linux" and python_version < "3.13"',)
    return requires


def _training() -> tuple[PackagePlan, ...]:
    return (
        PackagePlan(
            name="transformers",
            version="4.46.3",
            requires=(
                "filelock",
                "huggingface-hub<1.0,>=0.23.2",
                "numpy>=1.17",
                "packaging>=20.0",
                "pyyaml>=5.1",
                "regex!=2019.12.17",
                "requests",
                "tokenizers<0.21,>=0.20",
                "safetensors>=0.4.1",
                "tqdm>=4.27",
                'torch; extra == "torch"',
                'accelerate>=0.26.0; extra == "accelerate"',
                'tensorflow<2.16,>2.9; extra == "tf"',
            ),
            extras=("torch", "accelerate", "tf"),
        ),
        PackagePlan(
            name="peft",
            version="0.13.2",
            requires=(
                "numpy>=1.17",
                "packaging>=20.0",
                "psutil",
                "pyyaml",
                "torch>=1.13.0",
                "transformers",
                "tqdm",
                "accelerate>=0.21.0",
                "safetensors",
                "huggingface-hub>=0.17.0",
            ),
            at_import=_EAGER,
        ),
        PackagePlan(
            name="accelerate",
            version="1.1.1",
            requires=(
                "huggingface-hub>=0.21.0",
                "numpy<3.0.0,>=1.17",
                "packaging>=20.0",
                "psutil",
                "pyyaml",
                "safetensors>=0.4.3",
                "torch>=1.10.0",
            ),
            at_import=_EAGER,
        ),
        PackagePlan(
            name="datasets",
            version="3.1.0",
            requires=(
                "filelock",
                "numpy>=1.17",
                "pyarrow>=15.0.0",
                "dill<0.3.9,>=0.3.0",
                "pandas",
                "requests>=2.32.2",
                "tqdm>=4.66.3",
                "xxhash",
                "multiprocess<0.70.17",
                "fsspec[http]<=2024.9.0,>=2023.1.0",
                "aiohttp",
                "huggingface-hub>=0.23.0",
                "packaging",
                "pyyaml>=5.1",
            ),
        ),
    )


def _beneath() -> tuple[PackagePlan, ...]:
    return (
        PackagePlan(
            name="huggingface-hub",
            version="0.26.2",
            requires=(
                "filelock",
                "fsspec>=2023.5.0",
                "packaging>=20.9",
                "pyyaml>=5.1",
                "requests",
                "tqdm>=4.42.1",
                "typing-extensions>=3.7.4.3",
            ),
        ),
        PackagePlan(name="tokenizers", version="0.20.3", requires=("huggingface-hub<1.0,>=0.16.4",)),
        PackagePlan(name="safetensors", version="0.4.5"),
        PackagePlan(name="numpy", version="1.26.4"),
        PackagePlan(name="pyyaml", version="6.0.2", modules=("yaml",)),
        PackagePlan(name="packaging", version="24.2"),
        PackagePlan(name="regex", version="2024.11.6"),
        PackagePlan(name="tqdm", version="4.67.0"),
        PackagePlan(name="psutil", version="6.1.0"),
        PackagePlan(name="pyarrow", version="18.0.0"),
        PackagePlan(name="dill", version="0.3.8"),
        PackagePlan(name="multiprocess", version="0.70.16", requires=("dill>=0.3.8",)),
        PackagePlan(name="xxhash", version="3.5.0"),
        PackagePlan(
            name="pandas",
            version="2.2.3",
            requires=(
                'numpy>=1.22.4; python_version < "3.11"',
                'numpy>=1.23.2; python_version == "3.11"',
                'numpy>=1.26.0; python_version >= "3.12"',
                "python-dateutil>=2.8.2",
            ),
        ),
        PackagePlan(name="python-dateutil", version="2.9.0.post0", modules=("dateutil",)),
        PackagePlan(name="aiohttp", version="3.10.11", requires=("attrs>=17.3.0",)),
        PackagePlan(name="attrs", version="24.2.0", modules=("attr", "attrs")),
        PackagePlan(
            name="requests",
            version="2.32.3",
            requires=("idna<4,>=2.5", "urllib3<3,>=1.21.1", 'PySocks!=1.5.7,>=1.5.6; extra == "socks"'),
            extras=("socks",),
        ),
        PackagePlan(name="idna", version="3.10"),
        PackagePlan(name="urllib3", version="2.2.3"),
    )


def _beneath_torch() -> tuple[PackagePlan, ...]:
    return (
        PackagePlan(name="filelock", version="3.16.1"),
        PackagePlan(name="typing-extensions", version="4.12.2", modules=("typing_extensions",)),
        PackagePlan(name="networkx", version="3.4.2"),
        PackagePlan(name="jinja2", version="3.1.4", requires=("MarkupSafe>=2.0",)),
        PackagePlan(name="markupsafe", version="3.0.2"),
        PackagePlan(
            name="fsspec",
            version="2024.9.0",
            requires=('aiohttp!=4.0.0a0,!=4.0.0a1; extra == "http"',),
            extras=("http",),
        ),
        PackagePlan(name="sympy", version="1.13.1", requires=("mpmath<1.4,>=1.1.0",)),
        PackagePlan(name="mpmath", version="1.3.0"),
        PackagePlan(name="triton", version="3.1.0", requires=("filelock",)),
        PackagePlan(name="nvidia-cuda-runtime-cu12", version="12.1.105", modules=("nvidia/cuda_runtime",)),
    )
