"""nvrtc.py: opens libnvrtc.so.12 as torch does when it compiles something: by its own at::DynamicLibrary, whose code, and so whose
search path, is libtorch_cpu's. Prints where it was found; without it torch's exception ends the process."""
import ctypes
import warnings

warnings.simplefilter("ignore")
import torch  # noqa: E402

library = ctypes.CDLL(torch.__path__[0] + "/lib/libtorch_cpu.so")
make = getattr(library, "_ZN2at14DynamicLibraryC1EPKcS2_b")
make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_bool]
make(ctypes.create_string_buffer(256), b"libnvrtc.so.12", b"libnvrtc-12345678.so.12", True)
with open("/proc/self/maps") as maps:
    print(next(line.split()[-1] for line in maps if "libnvrtc.so" in line))
