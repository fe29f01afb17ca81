import type { Reply as CoreReply } from "@heddle/core-objects";
import { PART_BYTES_MAX, PAYLOAD_BYTES_MAX } from "@heddle/kernel";
import type { Session } from "@heddle/port-rpc";
import { Encoding, encodeReplies, type OperateResponseEntry, type Reply, splitPayload } from "@heddle/wire";
import { wireReply } from "./records.ts";

/** What a reply takes beside its values, about. */
const REPLY_OVERHEAD_BYTES = 32;

/** Replies of one stream, on their way out: those of one owner that are made in one go leave together. */
export class ReplyLines {
  readonly #session: Session<OperateResponseEntry>;
  /** By owner. */
  readonly #waiting = new Map<number, Reply[]>();
  #lastStream = 0;

  constructor(session: Session<OperateResponseEntry>) {
    this.#session = session;
  }

  add(owner: number, reply: CoreReply): void {
    const replies = this.#waiting.get(owner);
    if (replies === undefined) this.#waiting.set(owner, [wireReply(reply)]);
    else replies.push(wireReply(reply));
  }

  /** Sends what was added. */
  flush(): void {
    for (const [owner, replies] of this.#waiting) this.#send(owner, replies);
    this.#waiting.clear();
  }

  /** In entries that fit into a frame; a larger reply has one of its own. */
  #send(owner: number, replies: readonly Reply[]): void {
    let from = 0;
    let bytes = 0;
    for (let at = 0; at < replies.length; at++) {
      const reply = replies[at];
      const more = reply === undefined ? 0 : bytesOf(reply);
      if (at > from && bytes + more > PART_BYTES_MAX) {
        this.#sendEntry(owner, replies.slice(from, at));
        from = at;
        bytes = 0;
      }
      bytes += more;
    }
    this.#sendEntry(owner, from === 0 ? replies : replies.slice(from));
  }

  #sendEntry(owner: number, replies: readonly Reply[]): void {
    const bytes = encodeReplies(replies.length === 1 ? replies.map(sendable) : replies);
    const payload = { encoding: Encoding.UNSPECIFIED, count: replies.length, bytes };
    const { header, parts } = splitPayload(payload, () => this.#mintStream());
    const value = { owner, batch: header };
    this.#session.send({ kind: { $case: "replies", value } }, header.data.length);
    for (const part of parts) this.#session.send({ kind: { $case: "part", value: part } }, part.data.length);
  }

  #mintStream(): number {
    this.#lastStream = this.#lastStream >= 0xffff_ffff ? 1 : this.#lastStream + 1;
    return this.#lastStream;
  }
}

function bytesOf({ values, error }: Reply): number {
  let bytes = REPLY_OVERHEAD_BYTES + (error?.message.length ?? 0);
  for (const value of values) bytes += value.length + 4;
  return bytes;
}

/** A reply that cannot travel is a refusal: what was asked for is read in parts. */
function sendable(reply: Reply): Reply {
  const actual = bytesOf(reply);
  if (actual <= PAYLOAD_BYTES_MAX - REPLY_OVERHEAD_BYTES) return reply;
  const message = `an answer of ${actual} bytes is above PAYLOAD_BYTES_MAX, ${PAYLOAD_BYTES_MAX}: ask for parts of it`;
  const limit = { name: "PAYLOAD_BYTES_MAX", limit: PAYLOAD_BYTES_MAX, actual };
  const { seq, revision } = reply;
  return wireReply({ seq, values: [], numbers: [], revision, refusal: { code: "limit", message, limit } });
}
