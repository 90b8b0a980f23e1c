"""A unit as Verilog, with a test bench that checks itself and the vectors it reads."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from amaranth.back import rtlil

from fullint.errors import FullintError
from fullint.hardware.cases import Case
from fullint.hardware.simulation import Vectors
from fullint.hardware.streams import WORD_BITS, Field, Interface, Stream, interface_of
from fullint.hardware.yosys import run_yosys
from fullint.integer.output_directory import check_output, write_directory


def write_rtlil(case: Case, directory: Path) -> Path:
    """The unit in Yosys' intermediate language, module `case.name`."""
    path = directory / f"{case.name}.il"
    path.write_text(rtlil.convert(case.unit, name=case.name))
    return path


def check_folder(directory: Path) -> None:
    """Refuse a folder that holds files or cannot be written.

    Raises:
        FullintError: says which.
    """
    if directory.is_dir() and any(directory.iterdir()):
        raise FullintError(f"{directory} is not empty; name a folder that is")
    check_output(directory, (), overwrite=True)


def export_verilog(case: Case, vectors: Vectors, directory: Path) -> list[Path]:
    """Write NAME.v, NAME_test.v and one .hex file a stream, all or none; give their paths.

    Raises:
        FullintError: the directory holds files already or cannot be written.
    """
    check_folder(directory)
    with tempfile.TemporaryDirectory() as folder:
        source, design = write_rtlil(case, Path(folder)), Path(folder) / "design.v"
        commands = [f"read_rtlil {source}", "proc -norom", "opt_clean"]
        run_yosys([*commands, f"write_verilog -noattr {design}"])
        text = design.read_text()
    interface = interface_of(case.unit)
    files = {f"{case.name}.v": text, f"{case.name}_test.v": _bench(case.name, interface, vectors)}
    for name, words in _streams(interface, vectors):
        lines = ("".join(f"{word:08x}" for word in beat[::-1]) for beat in words.tolist())
        files[f"{name}.hex"] = "\n".join(lines) + "\n"
    contents = {name: text.encode() for name, text in files.items()}
    write_directory(directory, contents, overwrite=True, verify=lambda folder: None)
    return [directory / name for name in files]


def _streams(interface: Interface, vectors: Vectors) -> list[tuple[str, np.ndarray]]:
    named = [
        (stream.name, words) for stream, words in zip(interface.inputs, vectors.inputs, strict=True)
    ]
    return [*named, ("expected", vectors.expected), ("mask", vectors.mask)]


def _bench(name: str, interface: Interface, vectors: Vectors) -> str:
    inputs, output = interface.inputs, interface.output
    memories = "".join(
        f"  reg [{words.shape[1] * WORD_BITS - 1}:0] {stream}_words [0:{len(words) - 1}];\n"
        for stream, words in _streams(interface, vectors)
    )
    reading = "".join(
        f'    $readmemh("{stream}.hex", {stream}_words);\n'
        for stream, _ in _streams(interface, vectors)
    )
    drivers = "".join(
        _driver(stream, len(words)) for stream, words in zip(inputs, vectors.inputs, strict=True)
    )
    found, start = [], output.words * WORD_BITS
    for field in output.fields[::-1]:
        start -= field.words * WORD_BITS
        padding = field.words * WORD_BITS - field.width
        found.append(f"{{{padding}'b0, {field.port}}}" if padding else field.port)
    ports = ["    .clk(clk),", "    .rst(rst),"]
    ports += [f"    .{f.port}({_setting(f, vectors.settings)})," for f in interface.settings]
    for stream in (*inputs, output):
        names = [*(f.port for f in stream.fields), f"{stream.name}_valid", f"{stream.name}_ready"]
        ports += [f"    .{port}({port})," for port in names]
    wires = "".join(f"  wire [{f.width - 1}:0] {f.port};\n" for f in output.fields)
    connected = "\n".join(ports).rstrip(",")
    beats = len(vectors.expected)
    return f"""\
// Self-checking test bench of {name}: streams stall at random, {beats} beats are compared.
// iverilog -g2005-sv -o test {name}.v {name}_test.v && vvp test
`timescale 1ns / 1ps
module {name}_test;
{memories}{wires}  wire {output.name}_valid;
  reg {output.name}_ready = 0;
  reg clk = 0, rst = 1;
  integer compared = 0, different = 0, idle = 0;
  always #5 clk = ~clk;
  initial begin
{reading}    #22 rst = 0;
  end
{drivers}  wire [{output.words * WORD_BITS - 1}:0] found = {{{", ".join(found)}}};
  always @(posedge clk) begin
    {output.name}_ready <= $random;
    idle <= idle + 1;
    if (!rst && {output.name}_valid && {output.name}_ready) begin
      // !==, as an answer that is not known, or is not in the file, is a difference.
      if (((found ^ expected_words[compared]) & mask_words[compared]) !== 0)
        different = different + 1;
      compared = compared + 1;
      idle <= 0;
    end
    if (compared == {beats} || idle == 100000) begin
      if (compared == {beats} && different == 0) $display("PASS: %0d beats", compared);
      else $display("FAIL: %0d of %0d beats differ, of {beats}", different, compared);
      $finish;
    end
  end
  {name} unit (
{connected}
  );
endmodule
"""


def _driver(stream: Stream, beats: int) -> str:
    name, start, slices = stream.name, 0, []
    for field in stream.fields:
        slices.append(
            f"  wire [{field.width - 1}:0] {field.port} = "
            f"{name}_words[{name}_index][{start + field.width - 1}:{start}];\n"
        )
        start += field.words * WORD_BITS
    return f"""\
  integer {name}_index = 0;
  reg {name}_valid = 0;
  wire {name}_ready;
{"".join(slices)}  always @(posedge clk) if (!rst) begin
    if ({name}_valid && {name}_ready) begin
      {name}_index <= {name}_index + 1;
      {name}_valid <= ({name}_index + 1 < {beats}) && ($random & 1);
    end else if (!{name}_valid) {name}_valid <= ({name}_index < {beats}) && ($random & 1);
  end
"""


def _setting(field: Field, settings: Mapping[str, int]) -> str:
    return f"{field.width}'d{settings[field.port] & ((1 << field.width) - 1)}"
