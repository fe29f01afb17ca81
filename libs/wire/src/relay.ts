import { PART_BYTES_MAX, PAYLOAD_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { Part, Payload } from "./gen/heddle/v1/common.ts";

/** Payloads of one direction of a session that are announced and not yet complete. More is a ProtocolError. */
export const OPEN_FLOWS_MAX = 20_000;

/** What follows a flow: each piece in order, then one end. */
export interface FlowFollower {
  readonly piece: (data: Uint8Array) => void;
  readonly end: (aborted: boolean) => void;
}

/**
 * The bytes of one payload on their way through a process that does not read them. They are never joined.
 * A kept flow holds its pieces, so that it can be followed again (a chunk that runs a second time); another hands them on and forgets them.
 */
export class PayloadFlow {
  readonly encoding: Payload["encoding"];
  readonly count: number;
  readonly size: number;
  /** Pieces so far, when kept. */
  readonly pieces: Uint8Array[] = [];
  /** Written by the inflow that feeds it. */
  state: "open" | "complete" | "aborted" = "open";
  readonly #kept: boolean;
  /** Made with the first follower that has to wait: most flows are complete when they are made. */
  #followers: Set<FlowFollower> | undefined;
  #received = 0;

  constructor(header: Pick<Payload, "encoding" | "count" | "size">, kept: boolean) {
    this.encoding = header.encoding;
    this.count = header.count;
    this.size = header.size;
    this.#kept = kept;
  }

  /** Tells what came so far (when kept), then what comes. */
  follow(follower: FlowFollower): void {
    for (const piece of this.pieces) follower.piece(piece);
    if (this.state !== "open") return follower.end(this.state === "aborted");
    this.#followers ??= new Set();
    this.#followers.add(follower);
  }

  unfollow(follower: FlowFollower): void {
    this.#followers?.delete(follower);
  }

  /** Takes the next piece. Throws ProtocolError above the announced size. */
  push(data: Uint8Array): void {
    this.#received += data.byteLength;
    if (this.#received > this.size) throw new ProtocolError(`a payload of ${this.size} bytes has more parts than that`);
    if (this.#kept) this.pieces.push(data);
    if (this.#followers !== undefined) for (const follower of this.#followers) follower.piece(data);
  }

  /** No more pieces. Throws ProtocolError when some are missing and it was not aborted. */
  finish(aborted: boolean): void {
    if (this.state !== "open") return;
    if (!aborted && this.#received !== this.size)
      throw new ProtocolError(`a payload of ${this.size} bytes ended after ${this.#received}`);
    this.state = aborted ? "aborted" : "complete";
    const followers = this.#followers;
    this.#followers = undefined;
    for (const follower of followers ?? []) follower.end(aborted);
  }
}

/** Calls `run` once, when every flow has ended; `aborted` when one of them was. At once when all have ended already. */
export function whenEnded(flows: readonly PayloadFlow[], run: (aborted: boolean) => void): void {
  let open = flows.length;
  let aborted = false;
  if (open === 0) return run(false);
  const end = (cut: boolean): void => {
    aborted ||= cut;
    if (--open === 0) run(aborted);
  };
  for (const flow of flows) flow.follow({ piece: nothing, end });
}

/** The receiving end of a session's parts: makes flows of headers and feeds them. */
export class PayloadInflow {
  readonly #open = new Map<number, PayloadFlow>();

  /** A flow for a header; complete at once when the bytes are inside. Throws ProtocolError on a bad header. */
  open(header: Payload | undefined, kept: boolean): PayloadFlow {
    if (header === undefined) throw new ProtocolError("an entry lacks its payload");
    if (header.size > PAYLOAD_BYTES_MAX)
      throw new ProtocolError(`a payload of ${header.size} bytes is above the limit of ${PAYLOAD_BYTES_MAX}`);
    const flow = new PayloadFlow(header, kept || header.partStream === 0);
    if (header.partStream === 0) {
      if (header.data.byteLength !== header.size)
        throw new ProtocolError(`a payload says ${header.size} bytes and carries ${header.data.byteLength}`);
      if (header.size > 0) flow.push(header.data);
      flow.finish(false);
      return flow;
    }
    if (this.#open.has(header.partStream)) throw new ProtocolError(`part stream ${header.partStream} is open already`);
    if (this.#open.size >= OPEN_FLOWS_MAX) throw new ProtocolError(`more than ${OPEN_FLOWS_MAX} payloads are open`);
    this.#open.set(header.partStream, flow);
    return flow;
  }

  /** Feeds a part to its flow. Throws ProtocolError for a stream that is not open. */
  part(part: Part): void {
    const flow = this.#open.get(part.partStream);
    if (flow === undefined) throw new ProtocolError(`part stream ${part.partStream} is not open`);
    if (part.data.byteLength > 0 && !part.aborted) flow.push(part.data);
    if (!part.last && !part.aborted) return;
    flow.finish(part.aborted);
    this.#open.delete(part.partStream); // not before: a flow that broke the rules stays here for `abort`
  }

  /** The peer is gone: what is open will not be finished. */
  abort(): void {
    const flows = [...this.#open.values()];
    this.#open.clear();
    for (const flow of flows) flow.finish(true);
  }
}

/** A flow under way to a peer. */
export interface Outgoing {
  /** To be put into the entry that announces the payload. */
  readonly header: Payload;
  /** Bytes inside the header, for the lane's accounting. */
  readonly inlineBytes: number;
  /** Call once, right after the announcing entry was sent: sends the parts there are, and those to come. */
  start(): void;
}

/** A flow whose end the sender decides by itself. */
export interface HeldOutgoing extends Outgoing {
  /** Ends it, as complete or as aborted; nothing for a payload that went inline. */
  end(aborted: boolean): void;
}

/** The sending end of a session's parts. */
export class PayloadOutflow {
  readonly #sendPart: (part: Part, bytes: number) => void;
  #lastStream = 0;

  /** `sendPart` puts a part into the session's bulk lane. */
  constructor(sendPart: (part: Part, bytes: number) => void) {
    this.#sendPart = sendPart;
  }

  /** Sends a flow on, its end included. */
  send(flow: PayloadFlow): Outgoing {
    const held = this.hold(flow);
    if (held.header.partStream === 0) return held;
    return {
      ...held,
      start: () => {
        held.start();
        flow.follow({ piece: () => undefined, end: (aborted) => held.end(aborted) });
      },
    };
  }

  /** Sends a flow on but for its end. */
  hold(flow: PayloadFlow): HeldOutgoing {
    const { encoding, count, size } = flow;
    if (flow.state === "complete" && size <= PART_BYTES_MAX) {
      const data = flow.pieces.length === 1 ? (flow.pieces[0] ?? EMPTY) : joined(flow.pieces, size);
      return {
        header: { encoding, count, size, data, partStream: 0 },
        inlineBytes: size,
        start: nothing,
        end: nothing,
      };
    }
    const partStream = this.#mint();
    const follower: FlowFollower = {
      piece: (data) => {
        for (let at = 0; at < data.byteLength; at += PART_BYTES_MAX) {
          const piece = data.subarray(at, at + PART_BYTES_MAX);
          this.#sendPart({ partStream, data: piece, last: false, aborted: false }, piece.byteLength);
        }
      },
      end: nothing,
    };
    return {
      header: { encoding, count, size, data: EMPTY, partStream },
      inlineBytes: 0,
      start: () => flow.follow(follower),
      end: (aborted) => {
        flow.unfollow(follower);
        this.#sendPart({ partStream, data: EMPTY, last: true, aborted }, 0);
      },
    };
  }

  #mint(): number {
    this.#lastStream = this.#lastStream >= 0xffff_ffff ? 1 : this.#lastStream + 1;
    return this.#lastStream;
  }
}

/** A complete flow over bytes at hand. */
export function flowOf(payload: {
  readonly encoding: Payload["encoding"];
  readonly count: number;
  readonly bytes: Uint8Array;
}): PayloadFlow {
  const flow = new PayloadFlow(
    { encoding: payload.encoding, count: payload.count, size: payload.bytes.byteLength },
    true,
  );
  if (payload.bytes.byteLength > 0) flow.push(payload.bytes);
  flow.finish(false);
  return flow;
}

/** The bytes of a complete kept flow in one piece: for end points only. */
export function flowBytes(flow: PayloadFlow): Uint8Array {
  return flow.pieces.length === 1 ? (flow.pieces[0] ?? EMPTY) : joined(flow.pieces, flow.size);
}

const EMPTY = new Uint8Array(0);
const nothing = (): void => undefined;

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.byteLength;
  }
  return all;
}
