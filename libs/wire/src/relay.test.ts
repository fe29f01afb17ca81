import { PART_BYTES_MAX, PAYLOAD_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { Encoding, type Part, type Payload } from "./gen/heddle/v1/common.ts";
import { flowBytes, flowOf, OPEN_FLOWS_MAX, type PayloadFlow, PayloadInflow, PayloadOutflow } from "./relay.ts";

function header(size: number, partStream: number, data: Uint8Array = new Uint8Array(0)): Payload {
  return { encoding: Encoding.MSGPACK, count: 1, size, data, partStream };
}

function part(partStream: number, bytes: number, last = false, aborted = false): Part {
  return { partStream, data: new Uint8Array(bytes).fill(bytes), last, aborted };
}

function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => at % 251);
}

/** What a follower was told: sizes of pieces, then how it ended. */
function followed(flow: PayloadFlow): (number | string)[] {
  const told: (number | string)[] = [];
  flow.follow({
    piece: (data) => told.push(data.byteLength),
    end: (aborted) => told.push(aborted ? "aborted" : "end"),
  });
  return told;
}

/** An outflow that notes its parts, or hands them to an inflow. */
function outflow(inflow?: PayloadInflow) {
  const parts: Part[] = [];
  const out = new PayloadOutflow((sent, bytes) => {
    expect(bytes).toBe(sent.data.byteLength);
    parts.push(sent);
    inflow?.part(sent);
  });
  return { out, parts };
}

describe("an inflow", () => {
  test("completes a payload inside its header at once", () => {
    const flow = new PayloadInflow().open(header(3, 0, pattern(3)), false);
    expect(flow.state).toBe("complete");
    expect(followed(flow)).toEqual([3, "end"]);
    expect(flowBytes(flow)).toEqual(pattern(3));
  });

  test("tells who follows early each piece, and who follows a kept flow late the same", () => {
    const inflow = new PayloadInflow();
    const flow = inflow.open(header(5, 9), true);
    const early = followed(flow);
    inflow.part(part(9, 2));
    const midway = followed(flow);
    inflow.part(part(9, 3, true));
    for (const told of [early, midway, followed(flow)]) expect(told).toEqual([2, 3, "end"]);
  });

  test("forgets the pieces of a flow that is not kept", () => {
    const inflow = new PayloadInflow();
    const flow = inflow.open(header(5, 9), false);
    const told = followed(flow);
    inflow.part(part(9, 5, true));
    expect(told).toEqual([5, "end"]);
    expect(flow.pieces).toEqual([]);
  });

  test("an aborted stream ends its flow, drops the bytes of the abort and frees the number", () => {
    const inflow = new PayloadInflow();
    const told = followed(inflow.open(header(5, 9), false));
    inflow.part(part(9, 2));
    inflow.part(part(9, 1, true, true));
    expect(told).toEqual([2, "aborted"]);
    const again = followed(inflow.open(header(1, 9), false));
    inflow.part(part(9, 1, true));
    expect(again).toEqual([1, "end"]);
  });

  test.each([
    ["more bytes than announced", [part(9, 6)]],
    ["more bytes than announced in its last part", [part(9, 3), part(9, 3, true)]],
    ["fewer bytes than announced", [part(9, 4, true)]],
  ])("refuses %s, and its flow ends as aborted when the peer is dropped", (_, parts) => {
    const inflow = new PayloadInflow();
    const flow = inflow.open(header(5, 9), true);
    const told = followed(flow);
    expect(() => {
      for (const piece of parts) inflow.part(piece);
    }).toThrow(ProtocolError);
    inflow.abort();
    expect(told.at(-1)).toBe("aborted");
    expect(flow.state).toBe("aborted");
  });

  test("refuses headers and parts that no honest peer sends", () => {
    const inflow = new PayloadInflow();
    expect(() => inflow.open(undefined, true)).toThrow(ProtocolError);
    expect(() => inflow.open(header(PAYLOAD_BYTES_MAX + 1, 1), true)).toThrow(ProtocolError);
    expect(() => inflow.open(header(2, 0, pattern(1)), true)).toThrow(ProtocolError);
    expect(() => inflow.part(part(1, 1))).toThrow("part stream 1 is not open");
    inflow.open(header(2, 1), true);
    expect(() => inflow.open(header(2, 1), true)).toThrow("open already");
  });

  test("bounds the payloads that are open", () => {
    const inflow = new PayloadInflow();
    for (let stream = 1; stream <= OPEN_FLOWS_MAX; stream++) inflow.open(header(1, stream), false);
    expect(() => inflow.open(header(1, OPEN_FLOWS_MAX + 1), false)).toThrow(ProtocolError);
  });

  test("aborts what is open when the peer is gone", () => {
    const inflow = new PayloadInflow();
    const told = [1, 2].map((stream) => followed(inflow.open(header(3, stream), false)));
    inflow.abort();
    expect(told).toEqual([["aborted"], ["aborted"]]);
  });
});

describe("an outflow", () => {
  test("puts a small complete payload into its header", () => {
    const { out, parts } = outflow();
    const outgoing = out.send(flowOf({ encoding: Encoding.MSGPACK, count: 1, bytes: pattern(10) }));
    outgoing.start();
    expect(outgoing.header).toMatchObject({ size: 10, data: pattern(10), partStream: 0 });
    expect(outgoing.inlineBytes).toBe(10);
    expect(parts).toEqual([]);
  });

  test("relays a large payload unchanged, while it arrives and from memory, in parts of bounded size", () => {
    const bytes = pattern(2 * PART_BYTES_MAX + 5);
    const far = new PayloadInflow();
    const { out, parts } = outflow(far);
    const near = new PayloadInflow();
    const source = near.open(header(bytes.length, 4), true);
    const live = out.send(source);
    const arrived = [far.open(live.header, true)];
    live.start();
    near.part({ partStream: 4, data: bytes.subarray(0, 2 * PART_BYTES_MAX), last: false, aborted: false });
    near.part({ partStream: 4, data: bytes.subarray(2 * PART_BYTES_MAX), last: true, aborted: false });
    const again = out.send(source);
    arrived.push(far.open(again.header, true));
    again.start();
    for (const flow of arrived) expect([flow.state, flowBytes(flow)]).toEqual(["complete", bytes]);
    expect(Math.max(...parts.map(({ data }) => data.byteLength))).toBe(PART_BYTES_MAX);
    expect(new Set(parts.map(({ partStream }) => partStream)).size).toBe(2);
  });

  test("passes an abort on, to who began before it and to who begins after it", () => {
    const far = new PayloadInflow();
    const { out } = outflow(far);
    const near = new PayloadInflow();
    const source = near.open(header(10, 4), true);
    const [early, late] = [out.send(source), out.send(source)];
    const flows = [early, late].map((outgoing) => far.open(outgoing.header, false));
    early.start();
    near.part(part(4, 3));
    near.abort();
    late.start();
    expect(flows.map(({ state }) => state)).toEqual(["aborted", "aborted"]);
  });

  test.each([
    ["complete", false],
    ["aborted", true],
  ])("leaves the end of what is held to its owner: %s", (state, aborted) => {
    const far = new PayloadInflow();
    const { out } = outflow(far);
    const near = new PayloadInflow();
    const held = out.hold(near.open(header(4, 4), false));
    const flow = far.open(held.header, false);
    held.start();
    near.part(part(4, 4, true));
    expect(flow.state).toBe("open");
    held.end(aborted);
    expect(flow.state).toBe(state);
  });

  test("sends nothing more of what its owner has ended", () => {
    const { out, parts } = outflow();
    const near = new PayloadInflow();
    const held = out.hold(near.open(header(4, 4), false));
    held.start();
    held.end(true);
    near.part(part(4, 4, true));
    expect(parts).toEqual([{ partStream: 1, data: new Uint8Array(0), last: true, aborted: true }]);
  });
});
