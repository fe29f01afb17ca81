import { ARTIFACT_BYTES_MAX, type ArtifactHash, type Logger, ProtocolError } from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import { flowBytes, flowOf, type PayloadFlow } from "@heddle/wire";
import type { ClientRecord, NodeRecord } from "./ledger.ts";

/** The code that jobs name: taken from clients once, given to each node that asks. */
export class Artifacts {
  readonly #blobs: Blobs;
  readonly #log: Logger;
  /** Asked of a client and not here yet, with the nodes that wait for it. */
  readonly #awaited = new Map<ArtifactHash, Set<NodeRecord>>();

  constructor(blobs: Blobs, log: Logger) {
    this.#blobs = blobs;
    this.#log = log;
  }

  /** A client has it: asks for it unless it is here. */
  offered(client: ClientRecord, hash: ArtifactHash, size: number): void {
    if (size > ARTIFACT_BYTES_MAX)
      throw new ProtocolError(`artifact ${hash} has ${size} bytes, the limit is ${ARTIFACT_BYTES_MAX}`);
    if (!this.#awaited.has(hash)) this.#awaited.set(hash, new Set());
    this.#settle(hash, this.#blobs.locate(hash), (location) => {
      if (location !== undefined) return this.#arrived(hash);
      client.session.send({ kind: { $case: "wantArtifact", value: { hash } } });
    });
  }

  /** A client sends it. What is not what it says is dropped with that client. */
  store(client: ClientRecord, hash: ArtifactHash, content: PayloadFlow): void {
    if (content.size > ARTIFACT_BYTES_MAX)
      throw new ProtocolError(`artifact ${hash} has ${content.size} bytes, the limit is ${ARTIFACT_BYTES_MAX}`);
    content.follow({
      piece: () => undefined,
      end: (aborted) => {
        if (aborted) return;
        this.#blobs.put(hash, flowBytes(content)).then(
          () => this.#arrived(hash),
          (cause: unknown) => {
            const message = `artifact ${hash} was refused: ${String(cause)}`;
            this.#log.warn("artifact refused", { hash, cause: String(cause) });
            this.#missing(hash, message);
            client.session.close({ code: "protocol", message }).catch(() => undefined);
          },
        );
      },
    });
  }

  /** A node wants it: sends it now, when it arrives, or says that nobody has it. */
  wanted(node: NodeRecord, hash: ArtifactHash): void {
    this.#settle(hash, this.#blobs.get(hash), (bytes) => {
      const waiting = this.#awaited.get(hash);
      if (bytes !== undefined) this.#send(node, hash, bytes);
      else if (waiting !== undefined) waiting.add(node);
      else this.#refuse(node, hash, `no client has offered artifact ${hash}`);
    });
  }

  #arrived(hash: ArtifactHash): void {
    const waiting = this.#awaited.get(hash);
    this.#awaited.delete(hash);
    for (const node of waiting ?? []) this.wanted(node, hash);
  }

  #missing(hash: ArtifactHash, why: string): void {
    const waiting = this.#awaited.get(hash);
    this.#awaited.delete(hash);
    for (const node of waiting ?? []) this.#refuse(node, hash, why);
  }

  #send(node: NodeRecord, hash: ArtifactHash, bytes: Uint8Array): void {
    const outgoing = node.outflow.send(flowOf({ encoding: 0, count: 0, bytes }));
    node.session.send(
      { kind: { $case: "artifactContent", value: { hash, content: outgoing.header, missing: "" } } },
      outgoing.inlineBytes,
    );
    outgoing.start();
  }

  #refuse(node: NodeRecord, hash: ArtifactHash, missing: string): void {
    node.session.send({ kind: { $case: "artifactContent", value: { hash, content: undefined, missing } } });
  }

  #settle<T>(hash: ArtifactHash, question: Promise<T>, then: (answer: T) => void): void {
    question.then(then, (cause: unknown) => {
      this.#log.error("artifact store failed", { hash, cause: String(cause) });
      this.#missing(hash, `artifact ${hash} cannot be read: ${String(cause)}`);
    });
  }
}
