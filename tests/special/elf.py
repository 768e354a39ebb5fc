"""elf.py: just enough of an ELF object to bend it: headers as named fields, sections and dynamic entries by name and tag.

    object = Object(path)
    object.sections[".dynstr"]["size"] += 1
    object.save(path)
"""
import struct

NULL, VERNEED, VERNEEDNUM, VERSYM = 0, 0x6FFFFFFE, 0x6FFFFFFF, 0x6FFFFFF0
HEADER = ("type machine version entry phoff shoff flags ehsize phentsize phnum shentsize shnum shstrndx", {4: "HHIIIIIHHHHHH", 8: "HHIQQQIHHHHHH"})
SECTION = ("name type flags addr offset size link info align entsize", {4: "IIIIIIIIII", 8: "IIQQQQIIQQ"})
SEGMENT = ({4: "type offset vaddr paddr filesz memsz flags align", 8: "type flags offset vaddr paddr filesz memsz align"},
           {4: "IIIIIIII", 8: "IIQQQQQQ"})
LORESERVE, XINDEX, PROGBITS = 0xFF00, 0xFFFF, 1


class Object:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = bytearray(file.read())
        self.word = 8 if self.data[4] == 2 else 4
        self.order = ">" if self.data[5] == 2 else "<"
        self.header = self.read(HEADER[0], HEADER[1][self.word], 16)
        self.segments = self.table(SEGMENT[0][self.word], SEGMENT[1][self.word], self.header["phoff"], self.header["phnum"])
        self.list = self.table(SECTION[0], SECTION[1][self.word], self.header["shoff"], self.header["shnum"])
        self.sections = {self.name(section): section for section in self.list}

    def read(self, names, form, at):
        return dict(zip(names.split(), struct.unpack_from(self.order + form, self.data, at)))

    def write(self, form, at, fields):
        size = struct.calcsize(self.order + form)
        self.data.extend(bytes(max(0, at + size - len(self.data))))
        struct.pack_into(self.order + form, self.data, at, *fields.values())

    def table(self, names, form, at, count):
        size = struct.calcsize(self.order + form)
        return [self.read(names, form, at + i * size) for i in range(count)]

    def name(self, section):
        at = self.list[self.header["shstrndx"]]["offset"] + section["name"]
        return self.data[at:self.data.index(0, at)].decode()

    def dynamic_segment(self):
        segment = next(s for s in self.segments if s["type"] == 2)
        return segment["offset"], segment["offset"] + segment["filesz"], self.order + ("QQ" if self.word == 8 else "II")

    @property
    def dynamic(self):
        """(tag, value) up to the first DT_NULL."""
        start, end, form = self.dynamic_segment()
        pairs = list(struct.iter_unpack(form, self.data[start:end]))
        return pairs[:[tag for tag, _ in pairs].index(NULL)]

    @dynamic.setter
    def dynamic(self, pairs):
        start, end, form = self.dynamic_segment()
        assert len(pairs) < (end - start) // struct.calcsize(form), "no free dynamic entry"
        self.data[start:end] = b"".join(struct.pack(form, *pair) for pair in pairs).ljust(end - start, b"\0")

    def drop_sections(self):
        """What sstrip leaves: the segments, and not a byte behind the last of them."""
        self.data = self.data[:max(s["offset"] + s["filesz"] for s in self.segments)]
        self.header.update(shoff=0, shnum=0, shstrndx=0)
        self.list = []

    def add_sections(self, count):
        """Empty ones, so many that their number does not fit into the header (gABI chapter 4, "Extended numbering")."""
        names = self.header["shstrndx"]
        self.list += [dict(self.list[0], type=PROGBITS, offset=64, align=1) for _ in range(count)]
        self.list[0].update(size=len(self.list), link=names)
        self.header.update(shoff=(len(self.data) + 7) // 8 * 8, shnum=0, shstrndx=XINDEX)

    def save(self, path):
        self.write(HEADER[1][self.word], 16, self.header)
        for i, segment in enumerate(self.segments):
            form = SEGMENT[1][self.word]
            self.write(form, self.header["phoff"] + i * struct.calcsize(self.order + form), segment)
        for i, section in enumerate(self.list):
            form = SECTION[1][self.word]
            self.write(form, self.header["shoff"] + i * struct.calcsize(self.order + form), section)
        with open(path, "wb") as file:
            file.write(self.data)
