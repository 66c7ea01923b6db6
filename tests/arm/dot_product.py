"""Runs one INT8 dot product, ``sdot v0.4s, v1.16b, v2.16b``, from memory of its own."""

import ctypes
import mmap
import struct

SDOT, RETURN = 0x4E829420, 0xD65F03C0

page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(struct.pack("<2I", SDOT, RETURN))
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
