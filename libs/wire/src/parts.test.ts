import { LimitError, PART_BYTES_MAX, PAYLOAD_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { Encoding, Part, Payload } from "./gen/heddle/v1/common.ts";
import { PART_STREAMS_MAX, PayloadAssembler, splitPayload } from "./parts.ts";
import type { EncodedPayload } from "./payload.ts";

const payloadOf = (size: number): EncodedPayload => ({
  encoding: Encoding.BOOL,
  count: size,
  bytes: Uint8Array.from({ length: size }, (_, index) => index % 251),
});
const noStream = (): number => {
  throw new Error("no part stream is needed");
};
const overTheWire = (part: Part): Part => Part.decode(Part.encode(part).finish());
const header = (partial: Partial<Payload>): Payload => Payload.create({ encoding: Encoding.BOOL, ...partial });
const part = (partial: Partial<Part>): Part => Part.create({ partStream: 1, ...partial });

describe("a payload", () => {
  test.each([0, 1, PART_BYTES_MAX])("of %i bytes travels inside its header", (size) => {
    const payload = payloadOf(size);
    const { header: whole, parts } = splitPayload(payload, noStream);
    expect(parts).toEqual([]);
    expect(new PayloadAssembler<string>().open(Payload.decode(Payload.encode(whole).finish()), "tag")).toEqual(payload);
  });

  test.each([PART_BYTES_MAX + 1, 2 * PART_BYTES_MAX, 3 * PART_BYTES_MAX + 7])(
    "of %i bytes travels in parts",
    (size) => {
      const payload = payloadOf(size);
      const { header: announced, parts } = splitPayload(payload, () => 9);
      expect([announced.size, announced.data.length, announced.partStream]).toEqual([size, 0, 9]);
      expect(parts.map(({ data, last }) => [data.length <= PART_BYTES_MAX, last])).toEqual(
        parts.map((_, index) => [true, index === parts.length - 1]),
      );
      const assembler = new PayloadAssembler<string>();
      expect(assembler.open(Payload.decode(Payload.encode(announced).finish()), "tag")).toBeUndefined();
      const completions = parts.map((one) => assembler.add(overTheWire(one)));
      expect(completions.slice(0, -1).every((one) => one === undefined)).toBe(true);
      expect(completions.at(-1)?.tag).toBe("tag");
      expect(completions.at(-1)?.payload).toMatchObject({ encoding: payload.encoding, count: payload.count });
      expect(Buffer.compare(completions.at(-1)?.payload?.bytes ?? new Uint8Array(0), payload.bytes)).toBe(0);
      expect(assembler.openCount).toBe(0);
    },
  );

  test("is cut into views, not copies", () => {
    const payload = payloadOf(PART_BYTES_MAX * 2);
    const { parts } = splitPayload(payload, () => 1);
    expect(parts.every(({ data }) => data.buffer === payload.bytes.buffer)).toBe(true);
  });

  test("above PAYLOAD_BYTES_MAX is a LimitError", () => {
    const bytes = { length: PAYLOAD_BYTES_MAX + 1 } as Uint8Array;
    expect(() => splitPayload({ encoding: Encoding.BOOL, count: 1, bytes }, () => 1)).toThrow(LimitError);
  });
});

describe("an assembler", () => {
  test("keeps payloads apart whose parts come between each other", () => {
    const assembler = new PayloadAssembler<string>();
    const [a, b] = [
      splitPayload(payloadOf(PART_BYTES_MAX + 1), () => 1),
      splitPayload(payloadOf(PART_BYTES_MAX + 2), () => 2),
    ];
    assembler.open(a.header, "a");
    assembler.open(b.header, "b");
    const done = [a.parts[0], b.parts[0], b.parts[1], a.parts[1]].map((one) => assembler.add(part({ ...one }))?.tag);
    expect(done).toEqual([undefined, undefined, "b", "a"]);
  });

  test("tells of a payload whose sender gave up, and of those whose sender is gone", () => {
    const assembler = new PayloadAssembler<string>();
    for (const partStream of [1, 2, 3]) assembler.open(header({ size: 10, partStream }), `tag ${partStream}`);
    expect(assembler.add(part({ partStream: 2, aborted: true, last: true }))).toEqual({
      tag: "tag 2",
      payload: undefined,
    });
    expect(assembler.clear()).toEqual(["tag 1", "tag 3"]);
    expect(assembler.openCount).toBe(0);
  });

  test("lets a number be used again after its last part", () => {
    const assembler = new PayloadAssembler<number>();
    for (const tag of [1, 2]) {
      assembler.open(header({ size: 1, partStream: 1 }), tag);
      expect(assembler.add(part({ data: Uint8Array.of(7), last: true }))?.tag).toBe(tag);
    }
  });

  const announced = header({ size: 4, partStream: 1 });
  const faults: readonly { what: string; said: readonly (Payload | Part)[] }[] = [
    { what: "a part that nothing announced", said: [part({ data: Uint8Array.of(1) })] },
    {
      what: "a part after the last one",
      said: [announced, part({ data: new Uint8Array(4), last: true }), part({ last: true })],
    },
    { what: "more bytes than announced", said: [announced, part({ data: new Uint8Array(5) })] },
    { what: "fewer bytes than announced", said: [announced, part({ data: new Uint8Array(3), last: true })] },
    { what: "a number that is in use", said: [announced, announced] },
    {
      what: "bytes in a header that announces parts",
      said: [header({ size: 4, partStream: 1, data: new Uint8Array(4) })],
    },
    { what: "a header whose size is not that of its bytes", said: [header({ size: 5, data: new Uint8Array(4) })] },
    { what: "a size above the limit", said: [header({ size: PAYLOAD_BYTES_MAX + 1, partStream: 1 })] },
  ];
  test.each(faults)("refuses $what", ({ said }) => {
    const assembler = new PayloadAssembler<string>();
    const tellAll = (): void => {
      for (const one of said) "count" in one ? assembler.open(one, "") : assembler.add(one);
    };
    expect(tellAll).toThrow(ProtocolError);
  });

  test("refuses more open payloads than PART_STREAMS_MAX", () => {
    const assembler = new PayloadAssembler<string>();
    for (let partStream = 1; partStream <= PART_STREAMS_MAX; partStream++)
      assembler.open(header({ size: 1, partStream }), "");
    expect(() => assembler.open(header({ size: 1, partStream: PART_STREAMS_MAX + 1 }), "")).toThrow(ProtocolError);
  });
});
