import { LimitError, ProtocolError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { FrameReader, FrameWriter } from "./framing.ts";
import { WORKER_FRAME_BYTES_MAX, WORKER_FRAME_BYTES_TARGET } from "./limits.ts";

/** Entries are their own bytes here; a frame is what its entries are, joined. */
const writer = (): FrameWriter<Buffer> =>
  new FrameWriter(
    (entries) => entries,
    (entry) => entry.length,
  );

function read(reader: FrameReader, bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  reader.push(bytes, (frame) => frames.push(Buffer.from(frame)));
  return frames;
}

describe("frames", () => {
  test("are read as they were written, wherever the stream was cut", () => {
    const bodies = [Buffer.from("one"), Buffer.alloc(0), Buffer.alloc(700, 1), Buffer.from("four")];
    const stream = Buffer.concat(
      bodies.flatMap((body) => {
        const { length } = body;
        return [Buffer.from(Uint32Array.of(length).buffer), body];
      }),
    );
    for (const step of [1, 2, 3, 4, 5, 7, 64, 703, 704, 705, stream.length]) {
      const reader = new FrameReader();
      const frames: Buffer[] = [];
      for (let at = 0; at < stream.length; at += step) frames.push(...read(reader, stream.subarray(at, at + step)));
      expect(frames).toEqual(bodies);
    }
  });

  test("give back the memory of pieces that were copied, and keep that of frames which came in one piece", () => {
    const reader = new FrameReader();
    const frames: Buffer[] = [];
    const pieces = ["0300000041", "4243", "0200000044", "45" + "0100000046"].map((hex) => {
      const bytes = Buffer.from(hex, "hex");
      const piece = Buffer.allocUnsafeSlow(bytes.length);
      bytes.copy(piece);
      return piece;
    });
    for (const piece of pieces) reader.push(piece, (frame) => frames.push(frame));
    expect(frames.map(String)).toEqual(["ABC", "DE", "F"]);
    expect(pieces.map(({ length }) => length)).toEqual([0, 0, 0, 6]);
  });

  test("before a length that cannot be are read, and then nothing more can be", () => {
    const reader = new FrameReader();
    const taken: string[] = [];
    const stream = Buffer.from("0100000041" + "01001000", "hex");
    expect(() => reader.push(stream, (frame) => taken.push(frame.toString()))).toThrow(ProtocolError);
    expect(taken).toEqual(["A"]);
  });

  test("of the largest size pass", () => {
    const one = writer();
    one.add(Buffer.alloc(WORKER_FRAME_BYTES_MAX, 5));
    expect(read(new FrameReader(), Buffer.concat(one.take()))[0]).toHaveLength(WORKER_FRAME_BYTES_MAX);
  });

  test("hold several small entries, in order, and are cut where they become large", () => {
    const many = writer();
    const entries = Array.from({ length: 10 }, (_, i) => Buffer.alloc(WORKER_FRAME_BYTES_TARGET / 4, i));
    for (const entry of entries) many.add(entry);
    expect(many.size).toBe(10 * (WORKER_FRAME_BYTES_TARGET / 4));
    const frames = read(new FrameReader(), Buffer.concat(many.take()));
    expect(frames.map((frame) => frame.length / (WORKER_FRAME_BYTES_TARGET / 4))).toEqual([4, 4, 2]);
    expect(Buffer.concat(frames)).toEqual(Buffer.concat(entries));
    expect(many.take()).toEqual([]);
  });

  test("do not hold an entry that is too large: it is refused and leaves no trace", () => {
    const one = writer();
    expect(() => one.add(Buffer.alloc(WORKER_FRAME_BYTES_MAX + 1))).toThrow(LimitError);
    one.add(Buffer.from("x"));
    expect(read(new FrameReader(), Buffer.concat(one.take())).map(String)).toEqual(["x"]);
  });
});
