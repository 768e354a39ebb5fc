"""calls.py SHIM                     five calls of cuDNN, each in a process of its own
calls.py blas EXTENSION           a call of libctranslate2's cuBLAS stub, loaded as the import system loads it
calls.py finds OBJECT NAME...     where the real loader, asked by OBJECT, finds each NAME

Run under "ld.so --inhibit-cache" (fixtures/hidden). No GPU is needed: a library that is not found ends the process with 134
(SIGABRT) before any of these calls looks for one. Exit status 0 if nothing died and everything was found, else 1.
"""
import ctypes
import os
import sys


def in_child(name, call):
    """Prints what call() returns, or the signal that ended it as the shell would say it; after what the library had to say."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            result = call()
            print(name, *(result if isinstance(result, tuple) else (result,)), flush=True)
            os._exit(0)
        except OSError as error:
            print(name, "OSError:", error, flush=True)
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        print(name, 128 + os.WTERMSIG(status))
    return status == 0


def five(shim):
    def call(name):
        library = ctypes.CDLL(shim, mode=os.RTLD_NOW | os.RTLD_LOCAL)
        out = ctypes.c_void_p()
        function = getattr(library, name)
        if name == "cudnnGetVersion":
            function.restype = ctypes.c_size_t
            return function()
        return function(ctypes.byref(out))

    fine = True
    for name in ("cudnnGetVersion", "cudnnCreate", "cudnnCreateTensorDescriptor", "cudnnCreateConvolutionDescriptor",
                 "cudnnCreateRNNDescriptor"):
        fine = in_child(name, lambda: call(name)) and fine
    return fine


def mapped(name):
    with open("/proc/self/maps") as maps:
        return {line.split()[-1] for line in maps if os.path.basename(line.split()[-1]) == name}


def blas(extension):
    def call():
        library = ctypes.PyDLL(extension, mode=os.RTLD_NOW | os.RTLD_LOCAL)
        library.cublasCreate_v2(ctypes.byref(ctypes.c_void_p()))
        return (*mapped("libcublas.so.12"), *mapped("libcublasLt.so.12"))

    return in_child("cublasCreate_v2", call)


class Path(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("flags", ctypes.c_uint)]


def search_path(handle):
    """dlinfo(3), RTLD_DI_SERINFO: the directories that the loader tries for a name which this object asks for."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_size_t * 2)()
    size_request, request = 5, 4
    assert libc.dlinfo(ctypes.c_void_p(handle), size_request, head) == 0
    buffer = ctypes.create_string_buffer(head[0])
    ctypes.memmove(buffer, head, ctypes.sizeof(head))
    assert libc.dlinfo(ctypes.c_void_p(handle), request, buffer) == 0
    count = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_size_t))[1] & 0xFFFFFFFF
    return [path.name.decode() for path in (Path * count).from_buffer(buffer, ctypes.sizeof(head))]


def finds(path, *names):
    handle = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)._handle
    fine = True
    for name in names:
        tried = [os.path.join(directory, name) for directory in search_path(handle)]
        found = next((file for file in tried if os.path.exists(file)), None)
        if found:
            ctypes.CDLL(found, mode=os.RTLD_NOW | os.RTLD_LOCAL)
        print(name, os.path.realpath(found) if found else "not found")
        fine = fine and found is not None
    return fine


if __name__ == "__main__":
    jobs = {"blas": blas, "finds": finds}
    job = jobs.get(sys.argv[1])
    sys.exit(0 if (job(*sys.argv[2:]) if job else five(sys.argv[1])) else 1)
