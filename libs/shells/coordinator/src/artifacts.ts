import {
  ARTIFACT_BYTES_MAX,
  type ArtifactHash,
  CLIENT_ARTIFACTS_MAX,
  type Logger,
  ProtocolError,
} from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import { flowBytes, flowOf, type PayloadFlow } from "@heddle/wire";
import type { ClientRecord, NodeRecord } from "./ledger.ts";

/** An artifact that at least one live client has. */
interface Offer {
  readonly clients: Set<ClientRecord>;
  /** Those of them that were asked for it and have not sent it. */
  readonly asked: Set<ClientRecord>;
  /** Nodes that wait for it. */
  readonly nodes: Set<NodeRecord>;
  /** Others who do, and have to be told once. */
  readonly keepers: Set<TakeArtifact>;
}

/** Takes an artifact, or hears why it cannot be had. */
export type TakeArtifact = (bytes: Uint8Array | undefined, missing: string) => void;

/** The code that jobs name: taken from clients once, given to each node that asks, taken again when the store has let it go. */
export class Artifacts {
  readonly #blobs: Blobs;
  readonly #log: Logger;
  /** Size <= clients * CLIENT_ARTIFACTS_MAX. */
  readonly #offers = new Map<ArtifactHash, Offer>();

  constructor(blobs: Blobs, log: Logger) {
    this.#blobs = blobs;
    this.#log = log;
  }

  /** Artifacts that live clients have. */
  get size(): number {
    return this.#offers.size;
  }

  /** A client has it: asks for it unless it is here. */
  offered(client: ClientRecord, hash: ArtifactHash, size: number): void {
    if (size > ARTIFACT_BYTES_MAX)
      throw new ProtocolError(`artifact ${hash} has ${size} bytes, the limit is ${ARTIFACT_BYTES_MAX}`);
    if (client.artifacts.size >= CLIENT_ARTIFACTS_MAX)
      throw new ProtocolError(`a client offers more than ${CLIENT_ARTIFACTS_MAX} artifacts`);
    const offer = this.#offers.get(hash) ?? {
      clients: new Set(),
      asked: new Set(),
      nodes: new Set(),
      keepers: new Set(),
    };
    this.#offers.set(hash, offer);
    offer.clients.add(client);
    client.artifacts.add(hash);
    this.#settle(hash, this.#blobs.locate(hash), (location) => {
      if (location === undefined) this.#ask(client, hash);
      else this.#arrived(hash);
    });
  }

  /** A client sends it. What is not what it says is dropped with that client. */
  store(client: ClientRecord, hash: ArtifactHash, content: PayloadFlow): void {
    if (!client.artifacts.has(hash)) return; // withdrawn while it was under way
    if (content.size > ARTIFACT_BYTES_MAX)
      throw new ProtocolError(`artifact ${hash} has ${content.size} bytes, the limit is ${ARTIFACT_BYTES_MAX}`);
    content.follow({
      piece: () => undefined,
      end: (aborted) => {
        if (aborted) return; // with its client, which `left` is told of
        this.#blobs.put(hash, flowBytes(content)).then(
          () => {
            this.#offers.get(hash)?.asked.delete(client);
            this.#arrived(hash);
          },
          (cause: unknown) => this.#notStored(client, hash, cause),
        );
      },
    });
  }

  /** A node wants it: sends it now, when it arrives, or says that nobody has it. */
  wanted(node: NodeRecord, hash: ArtifactHash): void {
    this.#settle(hash, this.#blobs.get(hash), (bytes) => {
      const offer = this.#offers.get(hash);
      if (bytes !== undefined) this.#send(node, hash, bytes);
      else if (offer === undefined) this.#refuse(node, hash, `no client has offered artifact ${hash}`);
      else {
        offer.nodes.add(node);
        this.#askAnyone(hash, offer);
      }
    });
  }

  /** The coordinator wants to keep it: gives it now, when it arrives, or says that nobody has it. */
  fetch(hash: ArtifactHash, take: TakeArtifact): void {
    const gone = (cause: unknown): void => take(undefined, `artifact ${hash} cannot be read: ${String(cause)}`);
    this.#blobs.get(hash).then((bytes) => {
      const offer = this.#offers.get(hash);
      if (bytes !== undefined) take(bytes, "");
      else if (offer === undefined) take(undefined, `no client has offered artifact ${hash}`);
      else {
        offer.keepers.add(take);
        this.#askAnyone(hash, offer);
      }
    }, gone);
  }

  /** A client is gone: another that has the same is asked for what this one was to send. */
  left(client: ClientRecord): void {
    for (const hash of client.artifacts)
      this.#withdraw(client, hash, `the last client that had artifact ${hash} is gone`);
  }

  /** A client will not send it any more. */
  withdrawn(client: ClientRecord, hash: ArtifactHash): void {
    if (client.artifacts.has(hash)) this.#withdraw(client, hash, `artifact ${hash} is withdrawn: its jobs are over`);
  }

  #withdraw(client: ClientRecord, hash: ArtifactHash, why: string): void {
    client.artifacts.delete(hash);
    const offer = this.#offers.get(hash);
    if (offer === undefined) return;
    offer.clients.delete(client);
    offer.asked.delete(client);
    if (offer.clients.size > 0) return this.#askAnyone(hash, offer);
    this.#offers.delete(hash);
    for (const node of offer.nodes) this.#refuse(node, hash, why);
    for (const take of offer.keepers) take(undefined, why);
  }

  #ask(client: ClientRecord, hash: ArtifactHash): void {
    const offer = this.#offers.get(hash);
    if (offer === undefined || !offer.clients.has(client) || offer.asked.has(client)) return;
    offer.asked.add(client);
    client.session.send({ kind: { $case: "wantArtifact", value: { hash } } });
  }

  /** Has somebody asked, if nodes wait and nobody is. */
  #askAnyone(hash: ArtifactHash, offer: Offer): void {
    const [client] = offer.clients;
    const isWanted = offer.nodes.size + offer.keepers.size > 0;
    if (client !== undefined && isWanted && offer.asked.size === 0) this.#ask(client, hash);
  }

  /** It is here: everybody who waits gets it. */
  #arrived(hash: ArtifactHash): void {
    const offer = this.#offers.get(hash);
    if (offer === undefined || offer.nodes.size + offer.keepers.size === 0) return;
    this.#settle(hash, this.#blobs.get(hash), (bytes) => {
      if (bytes === undefined) return this.#refuseAll(hash, `artifact ${hash} was evicted at once`);
      for (const node of this.#takeNodes(hash)) this.#send(node, hash, bytes);
      for (const take of this.#takeKeepers(hash)) take(bytes, "");
    });
  }

  /** Only bytes that are not what they say are their client's fault. */
  #notStored(client: ClientRecord, hash: ArtifactHash, cause: unknown): void {
    if (!(cause instanceof ProtocolError)) {
      this.#offers.get(hash)?.asked.delete(client);
      this.#log.error("artifact cannot be stored", { hash, cause: String(cause) });
      return this.#refuseAll(hash, `artifact ${hash} cannot be stored: ${String(cause)}`);
    }
    const message = `artifact ${hash} was refused: ${cause.message}`;
    this.#log.warn("artifact refused", { hash, cause: cause.message });
    this.#withdraw(client, hash, message);
    client.session.close({ code: "protocol", message }).catch(() => undefined);
  }

  #takeNodes(hash: ArtifactHash): NodeRecord[] {
    const nodes = this.#offers.get(hash)?.nodes;
    const waiting = [...(nodes ?? [])];
    nodes?.clear();
    return waiting;
  }

  #takeKeepers(hash: ArtifactHash): TakeArtifact[] {
    const keepers = this.#offers.get(hash)?.keepers;
    const waiting = [...(keepers ?? [])];
    keepers?.clear();
    return waiting;
  }

  #refuseAll(hash: ArtifactHash, why: string): void {
    for (const node of this.#takeNodes(hash)) this.#refuse(node, hash, why);
    for (const take of this.#takeKeepers(hash)) take(undefined, why);
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
      this.#refuseAll(hash, `artifact ${hash} cannot be read: ${String(cause)}`);
    });
  }
}
