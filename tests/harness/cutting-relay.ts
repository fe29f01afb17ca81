import type { Frame, Link, StreamMethod } from "@heddle/port-rpc";
import { streamRoute } from "@heddle/port-rpc";
import { type AttachRequestEntry, type AttachResponseEntry, nodesAttach } from "@heddle/wire";
import { localClient, localServer } from "./local-rpc.ts";

/** Everything that an agent, or a coordinator to it, says. */
export type NodeEntry =
  | NonNullable<AttachRequestEntry["kind"]>["$case"]
  | NonNullable<AttachResponseEntry["kind"]>["$case"];

/** When the connection is cut: before a frame has gone on, which is lost then, or after it, so that its acknowledgement is. */
export type CutAt = "before" | "after";

type Entry = { readonly kind?: { readonly $case: string } | undefined };
type NodeLink<Out, In> = Link<Frame<Out>, Frame<In>>;

const method: StreamMethod<Frame<AttachRequestEntry>, Frame<AttachResponseEntry>> = nodesAttach;

/** A relay between agents and their coordinator that cuts a connection exactly around a frame with a certain entry. */
export class CuttingRelay implements AsyncDisposable {
  /** What it has cut at so far. */
  readonly cuts: string[] = [];
  readonly #scope = new AsyncDisposableStack();
  readonly #client = this.#scope.use(localClient());
  readonly #target: string;
  #address = "";
  #wanted: { readonly entry: NodeEntry; readonly at: CutAt } | undefined;

  private constructor(target: string) {
    this.#target = target;
  }

  static async open(target: string): Promise<CuttingRelay> {
    const relay = new CuttingRelay(target);
    const route = streamRoute(method, (link) => void relay.#relay(link));
    relay.#address = relay.#scope.use(await localServer().listen("127.0.0.1:0", [route])).address;
    return relay;
  }

  get address(): string {
    return this.#address;
  }

  /** Cuts around the next frame that has such an entry, once. */
  cutAt(entry: NodeEntry, at: CutAt): void {
    this.#wanted = { entry, at };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }

  async #relay(near: NodeLink<AttachResponseEntry, AttachRequestEntry>): Promise<void> {
    try {
      const far = await this.#client.dial(method, this.#target, new AbortController().signal);
      await Promise.all([this.#pump(near, far), this.#pump(far, near)]);
    } catch {
      await near[Symbol.asyncDispose](); // the coordinator is not there: whoever dialled tries again
    }
  }

  async #pump<M extends Entry, Out, In>(from: Link<Out, Frame<M>>, to: Link<Frame<M>, In>): Promise<void> {
    for await (const frame of from.incoming) {
      const wanted = this.#wanted;
      const isIt = wanted !== undefined && frame.entries.some(({ kind }) => kind?.$case === wanted.entry);
      if (!isIt || wanted.at === "after") to.send(frame);
      if (!isIt) continue;
      this.#wanted = undefined;
      this.cuts.push(wanted.entry);
      break;
    }
    await Promise.all([to[Symbol.asyncDispose](), from[Symbol.asyncDispose]()]);
  }
}
