import { ClosedError, type Connection, EndOfStreamError, LimitError, Manager, Pipe } from "heddle";
import { describe, expect, test } from "vitest";
import type { ObjectsPlace } from "../../harness/objects-place.ts";
import { failure } from "../../harness/waiting.ts";

type Get = () => ObjectsPlace;

/** Pipes and what waits for them, whoever runs them. */
export function describePipes(get: Get): void {
  describe("a pipe", () => describePipe(get));
  describe("wait", () => describeWait(get));
}

const pipeIn =
  (place: Get) =>
  <T>(duplex = true): [Connection<T>, Connection<T>] =>
    Pipe<T>({ duplex, fabric: place().ours });

function describePipe(place: Get): void {
  const pipe = pipeIn(place);

  test("tells whether there is something to receive: at once, or as long as it is asked to wait", async () => {
    const [here, far] = pipe<string>();
    const there = await place().receive(far);
    expect([await here.poll(), await here.poll(-1), await here.poll(0)]).toEqual([false, false, false]);
    const sinceMs = place().nowMs();
    expect(await place().ends(here.poll(300))).toBe(false);
    expect(place().nowMs() - sinceMs).toBeGreaterThanOrEqual(300);
    const waiting = here.poll(Number.POSITIVE_INFINITY);
    await place().arrived();
    await there.send("item");
    expect([await waiting, await here.poll(), await here.recv(), await here.poll()]).toEqual([
      true,
      true,
      "item",
      false,
    ]);
  });

  test("of one direction has an end that receives and one that sends", async () => {
    const [reader, writer] = pipe<number>(false);
    expect([reader.readable, reader.writable, writer.readable, writer.writable]).toEqual([true, false, false, true]);
    await writer.send(7);
    expect(await reader.recv()).toBe(7);
    const there = await place().receive(writer);
    for (const wrong of [
      reader.send(1),
      reader.sendBytes(new Uint8Array()),
      writer.recv(),
      writer.poll(),
      there.recvBytes(),
    ])
      expect(await failure(wrong)).toBeInstanceOf(TypeError);
  });

  test("keeps messages whole and in order, empty ones too, both ways", async () => {
    const [here, far] = pipe<unknown>();
    const there = await place().receive(far);
    const messages = [Uint8Array.of(1, 2, 3), new Uint8Array(), new Uint8Array(300_000).fill(7)];
    for (const message of messages) await here.sendBytes(message);
    await here.send({ value: [1, undefined] });
    await here.send(null);
    for (const message of messages) expect(await there.recvBytes()).toEqual(message);
    expect([await there.recv(), await there.recv()]).toEqual([{ value: [1, undefined] }, null]);
    await there.send("back");
    await there.sendBytes(Uint8Array.of(9));
    expect([await here.recv(), await here.recv()]).toEqual(["back", Uint8Array.of(9)]);
    expect(await failure(here.sendBytes("text" as never))).toBeInstanceOf(TypeError);
  });

  test("ends for who receives once all that hold the other end have closed it, after what was sent", async () => {
    const [reader, writer] = pipe<number>(false);
    const there = await place().receive(writer);
    await writer.close();
    await there.send(1);
    await there.send(2);
    await there.close();
    expect([await reader.recv(), await reader.poll(), await reader.recv()]).toEqual([1, true, 2]);
    expect(await failure(reader.recv())).toBeInstanceOf(EndOfStreamError);
    expect(await reader.poll()).toBe(true);
    expect(await failure(reader.recvBytes())).toBeInstanceOf(EndOfStreamError);
  });

  test("ends for who waits when the last holder of the other end is gone", async () => {
    const [reader, writer] = pipe<number>(false);
    const there = await place().receive(writer);
    await there.send(1);
    await writer.close();
    expect(await reader.recv()).toBe(1);
    const waiting = failure(reader.recv());
    await place().arrived();
    await place().leave();
    expect(await waiting).toBeInstanceOf(EndOfStreamError);
  });

  test("holds an end that is on its way, though its sender has closed it", async () => {
    const [reader, writer] = pipe<number>(false);
    const [out, into] = pipe<Connection<number>>();
    const there = await place().receive(out);
    await into.send(writer);
    await writer.close();
    expect(await reader.poll()).toBe(false);
    const received = await there.recv();
    await received.send(5);
    expect(await reader.recv()).toBe(5);
    await received.close();
    expect(await failure(reader.recv())).toBeInstanceOf(EndOfStreamError);
  });

  test("received twice by one process is closed when both are", async () => {
    const [reader, writer] = pipe<number>(false);
    const first = await place().receive(writer);
    const second = await place().receive(writer);
    await writer.close();
    await first.close();
    await second.send(1);
    expect(await reader.recv()).toBe(1);
    await second.close();
    expect(await failure(reader.recv())).toBeInstanceOf(EndOfStreamError);
  });

  test("cannot be used once it is closed; closing it again is nothing", async () => {
    const [here, far] = pipe<number>();
    await here.close();
    await here.close();
    expect([here.closed, here.readable, here.writable]).toEqual([true, false, false]);
    for (const call of [here.send(1), here.recv(), here.poll(), here.recvBytes(), here.sendBytes(new Uint8Array())])
      expect(await failure(call)).toBeInstanceOf(ClosedError);
    expect(await failure(far.send(1))).toBeInstanceOf(ClosedError);
    expect(await failure(far.recv())).toBeInstanceOf(EndOfStreamError);
    await using manager = new Manager({ fabric: place().ours });
    expect(await failure(manager.list<unknown>().append(here))).toBeInstanceOf(ClosedError);
  });

  test("takes no more from who received a message that was too long for it", async () => {
    const [one, other] = pipe<number>();
    await one.sendBytes(new Uint8Array(10));
    await one.sendBytes(new Uint8Array(11));
    expect(await other.recvBytes({ maxLength: 10 })).toHaveLength(10);
    const error = await failure(other.recvBytes({ maxLength: 10 }));
    expect(error).toBeInstanceOf(LimitError);
    expect(error).toMatchObject({ limitName: "maxLength", limit: 10, actual: 11 });
    expect([other.readable, other.writable, other.closed]).toEqual([false, true, false]);
    expect(await failure(other.recv())).toBeInstanceOf(TypeError);
    await other.send(3);
    expect(await one.recv()).toBe(3);
    const [reader, writer] = pipe<number>(false);
    await writer.sendBytes(new Uint8Array(2));
    expect(await failure(reader.recvBytes({ maxLength: 1 }))).toBeInstanceOf(LimitError);
    expect(reader.closed).toBe(true);
    expect(await failure(reader.recvBytes({ maxLength: -1 }))).toBeInstanceOf(RangeError);
  });

  test("refuses options that cannot be", () => {
    expect(() => Pipe({ duplex: "yes" as never, fabric: place().ours })).toThrow(TypeError);
    expect(() => Pipe({ duplx: false } as never)).toThrow("no option duplx");
  });
}

function describeWait(place: Get): void {
  const pipe = pipeIn(place);

  test("gives the connections that are ready, each message once, and those that have ended", async () => {
    const readers: Connection<[number, string]>[] = [];
    const children: Promise<void>[] = [];
    for (let child = 0; child < 4; child++) {
      const [reader, writer] = pipe<[number, string]>(false);
      const there = await place().receive(writer);
      await writer.close();
      readers.push(reader);
      children.push(
        (async () => {
          for (let message = 0; message < 10; message++) {
            await there.send([message, `child ${child}`]);
            if (message % 3 === child % 3) await place().arrived();
          }
          await there.close();
        })(),
      );
    }
    const received: string[] = [];
    let open = readers;
    while (open.length > 0)
      for (const reader of await place().wait(open)) {
        expect(await reader.poll()).toBe(true);
        try {
          received.push((await reader.recv()).join(" of "));
        } catch (error) {
          expect(error).toBeInstanceOf(EndOfStreamError);
          open = open.filter((one) => one !== reader);
        }
      }
    await Promise.all(children);
    const expected = [0, 1, 2, 3].flatMap((child) => Array.from({ length: 10 }, (_, at) => `${at} of child ${child}`));
    expect(received.sort()).toEqual(expected.sort());
  });

  test("gives none when the time is up, and takes nothing", async () => {
    const [here, far] = pipe<number>();
    expect(await place().wait([here], { timeoutMs: 0 })).toEqual([]);
    expect(await place().ends(place().wait([here, far], { timeoutMs: 80 }))).toEqual([]);
    const waiting = place().wait([here, far]);
    await place().arrived();
    await far.send(1);
    expect(await waiting).toEqual([here]);
    expect(await here.recv()).toBe(1);
    await far.close();
    expect(await failure(place().wait([far]))).toBeInstanceOf(ClosedError);
  });
}
