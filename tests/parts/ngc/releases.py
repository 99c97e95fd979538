"""The releases: what each has, and what its images say of themselves."""

from __future__ import annotations

from dataclasses import dataclass

LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class Release:
    """Such as 24.10. Versions of NVIDIA's libraries are those of their files' names."""

    name: str
    server: str
    pytriton: str
    cuda: str
    cudnn: str
    tensorrt: str
    dcgm: str
    """The one that pytriton's wheel has."""
    large: bool = False
    """It has backends of hundreds of megabytes, and images for two architectures."""

    @property
    def cuda_series(self) -> str:
        """Such as 12.6."""
        return ".".join(self.cuda.split(".")[:2])

    @property
    def cuda_home(self) -> str:
        return f"usr/local/cuda-{self.cuda_series}"

    @property
    def min_env(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/mpi/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:"
            "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CUDA_VERSION": self.cuda,
            "CUDA_DRIVER_VERSION": "560.35.03",
            "CUDA_CACHE_DISABLE": "1",
            "_CUDA_COMPAT_PATH": "/usr/local/cuda/compat",
            "ENV": "/etc/shinit_v2",
            "BASH_ENV": "/etc/bash.bashrc",
            "SHELL": "/bin/bash",
            "NVIDIA_REQUIRE_CUDA": "cuda>=9.0",
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
            "NVIDIA_PRODUCT_NAME": "Triton Server Base",
            "CUDNN_VERSION": self.cudnn,
            "TRT_VERSION": self.tensorrt,
            "NCCL_VERSION": "2.22.3",
            "LD_LIBRARY_PATH": "/usr/local/cuda/compat/lib:/usr/local/nvidia/lib:"
            "/usr/local/nvidia/lib64",
            "LIBRARY_PATH": "/usr/local/cuda/lib64/stubs:",
        }

    @property
    def full_env(self) -> dict[str, str]:
        below = self.min_env
        return {
            **below,
            "PATH": f"/opt/tritonserver/bin:{below['PATH']}",
            "LD_LIBRARY_PATH": f"/opt/hpcx/ucc/lib/:/opt/hpcx/ucx/lib/:{below['LD_LIBRARY_PATH']}",
            "TRITON_SERVER_VERSION": self.server,
            "NVIDIA_TRITON_SERVER_VERSION": self.name,
            "UCX_MEM_EVENTS": "no",
            "TF_ADJUST_HUE_FUSED": "1",
            "TF_ADJUST_SATURATION_FUSED": "1",
            "TF_ENABLE_WINOGRAD_NONFUSED": "1",
            "TF_AUTOTUNE_THRESHOLD": "2",
            "TRITON_SERVER_GPU_ENABLED": "1",
            "TRITON_SERVER_USER": "triton-server",
            "DEBIAN_FRONTEND": "noninteractive",
            "TCMALLOC_RELEASE_RATE": "200",
            "DCGM_VERSION": self.dcgm,
            "PYTHONPATH": "/opt/tritonserver/backends/dali/wheel/dali:",
            "NVIDIA_PRODUCT_NAME": "Triton Server",
            "NVIDIA_BUILD_ID": self.build_id,
        }

    @property
    def min_labels(self) -> dict[str, str]:
        return {
            "com.nvidia.build.id": "100000000",
            "com.nvidia.build.ref": "0" * 40,
            "com.nvidia.volumes.needed": "nvidia_driver",
            "com.nvidia.cuda.version": "9.0",
            "org.opencontainers.image.ref.name": "debian",
            "org.opencontainers.image.version": "12",
        }

    @property
    def full_labels(self) -> dict[str, str]:
        return {
            **self.min_labels,
            "com.nvidia.build.id": self.build_id,
            "com.nvidia.build.ref": self.build_ref,
            "com.nvidia.tritonserver.version": self.server,
            "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
            "com.amazonaws.sagemaker.capabilities.multi-models": "true",
        }

    @property
    def build_id(self) -> str:
        return f"1{self.name.replace('.', '')}0042"

    @property
    def build_ref(self) -> str:
        return f"{self.name.replace('.', ''):a<40}"


RELEASES = {
    release.name: release
    for release in (
        Release("23.10", "2.39.0", "0.4.2", "12.2.2.009", "8.9.5.27", "8.6.1.6", "2.4.7"),
        Release("24.03", "2.44.0", "0.5.5", "12.4.0.041", "9.0.0.306", "8.6.3", "3.2.6"),
        Release("24.10", "2.51.0", "0.7.0", "12.6.2.004", "9.5.0.50", "10.5.0.18", "3.2.6", True),
    )
}
