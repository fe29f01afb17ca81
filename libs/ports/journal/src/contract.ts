import { ClosedError, InvalidArgumentError, LimitError, StateError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import {
  type Journal,
  JournalFailedError,
  JournalFullError,
  JournalLockedError,
  RECORD_BYTES_MAX,
  type Recovered,
} from "./index.ts";

/** One place where a journal is kept. Disposing it leaves nothing behind. */
export interface JournalFixture extends AsyncDisposable {
  /** Opens what is kept there. */
  open(): Promise<Journal>;
  /** Ends the journal that is open as kill -9 of its process would: from then on it can be opened again. */
  kill(): Promise<void>;
  /** Leaves no space for what comes from now on, or some again. For the journal that is open. */
  setFull(isFull: boolean): void;
  /** Breaks the disk below the journal that is open. */
  breakDisk(): void;
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const records = (...texts: readonly string[]): Uint8Array[] => texts.map(bytesOf);

/** What is kept, in words: "1=a" for a record, "3:x|y" for a snapshot. */
export async function recovered(journal: Journal): Promise<string[]> {
  return (await allOf(journal)).map(inWords);
}

async function allOf(journal: Journal): Promise<Recovered[]> {
  const all: Recovered[] = [];
  for await (const one of journal.recover()) all.push(one);
  return all;
}

function inWords(one: Recovered): string {
  if (one.type === "record") return `${one.position}=${textOf(one.bytes)}`;
  return `${one.position}:${one.pieces.map(textOf).join("|")}`;
}

/** What every Journal adapter must do. `make` gives an empty place. */
export function journalContract(name: string, make: () => Promise<JournalFixture>): void {
  /** Opens, recovers and throws away what is kept. */
  const openReady = async (place: JournalFixture): Promise<Journal> => {
    const journal = await place.open();
    await recovered(journal);
    return journal;
  };

  describe(`${name} keeps a log`, () => {
    test("a new journal is empty", async () => {
      await using place = await make();
      await using journal = await place.open();
      expect(journal.position).toBe(0);
      expect(await recovered(journal)).toEqual([]);
      expect(journal.bytesSinceSnapshot).toBe(0);
    });

    test("what was appended is given back in order, byte for byte, by the next owner", async () => {
      await using place = await make();
      const all = [new Uint8Array(0), bytesOf("a"), new Uint8Array(3_000_001).fill(7), Uint8Array.of(0, 255, 0)];
      {
        await using journal = await openReady(place);
        await journal.append(all.slice(0, 1));
        await journal.append(all.slice(1));
        expect(journal.position).toBe(4);
        expect(journal.bytesSinceSnapshot).toBe(3_000_005);
      }
      await using journal = await place.open();
      expect(journal.position).toBe(4);
      const back = await allOf(journal);
      expect(back.map(({ position }) => position)).toEqual([1, 2, 3, 4]);
      const isSame = (one: Recovered, at: number): boolean =>
        one.type === "record" && Buffer.from(one.bytes).equals(all[at] ?? bytesOf("nothing like it"));
      expect(back.map(isSame)).toEqual([true, true, true, true]);
      expect(journal.bytesSinceSnapshot).toBe(3_000_005);
    });

    test("what was acknowledged is there after a kill, and the log goes on behind it", async () => {
      await using place = await make();
      const first = await openReady(place);
      await first.append(records("a", "b"));
      await first.append(records("c"));
      await place.kill();
      await using second = await place.open();
      expect(await recovered(second)).toEqual(["1=a", "2=b", "3=c"]);
      await second.append(records("d"));
      expect(second.position).toBe(4);
      await place.kill();
      await using third = await place.open();
      expect(await recovered(third)).toEqual(["1=a", "2=b", "3=c", "4=d"]);
    });

    test("appends that nobody awaited leave together, resolve in order, and are on disk when they do", async () => {
      await using place = await make();
      {
        await using journal = await openReady(place);
        const settled: number[] = [];
        const appends = Array.from({ length: 500 }, async (_, at) => {
          await journal.append(records(`r${at}`));
          settled.push(at);
          expect(journal.position).toBeGreaterThan(at);
        });
        await Promise.all(appends);
        expect(settled).toEqual(Array.from({ length: 500 }, (_, at) => at));
      }
      await using journal = await place.open();
      expect(await recovered(journal)).toEqual(Array.from({ length: 500 }, (_, at) => `${at + 1}=r${at}`));
    });

    test("appending no record waits for those before and takes no position", async () => {
      await using place = await make();
      await using journal = await openReady(place);
      await journal.append([]);
      expect(journal.position).toBe(0);
      const order: string[] = [];
      const append = (what: string, all: Uint8Array[]): Promise<unknown> =>
        journal.append(all).then(() => order.push(what));
      await Promise.all([append("a", records("a")), append("none", [])]);
      expect(order).toEqual(["a", "none"]);
      expect(journal.position).toBe(1);
    });

    test("neither side can change what is kept", async () => {
      await using place = await make();
      {
        await using journal = await openReady(place);
        const mine = bytesOf("original");
        const appended = journal.append([mine]);
        mine.fill(0);
        await appended;
      }
      {
        await using journal = await place.open();
        for await (const one of journal.recover()) if (one.type === "record") one.bytes.fill(0);
      }
      await using journal = await place.open();
      expect(await recovered(journal)).toEqual(["1=original"]);
    });

    test("disposing stores what was appended before it, refuses what comes after it, and is done once", async () => {
      await using place = await make();
      const journal = await openReady(place);
      const appended = journal.append(records("a"));
      const disposed = [journal[Symbol.asyncDispose](), journal[Symbol.asyncDispose]()];
      await expect(journal.append(records("b"))).rejects.toThrow(ClosedError);
      await Promise.all([appended, ...disposed]);
      await expect(journal.saveSnapshot(1, [])).rejects.toThrow(ClosedError);
      await using next = await place.open();
      expect(await recovered(next)).toEqual(["1=a"]);
    });

    test("a second owner is refused while the first lives", async () => {
      await using place = await make();
      {
        await using first = await openReady(place);
        await expect(place.open()).rejects.toThrow(JournalLockedError);
        await first.append(records("a"));
      }
      await using second = await place.open();
      expect(await recovered(second)).toEqual(["1=a"]);
    });

    test("what is kept can be read again between appends, which go on behind it", async () => {
      await using place = await make();
      await using journal = await openReady(place);
      await journal.append(records("a", "b"));
      await journal.saveSnapshot(1, records("s"));
      const bytes = journal.bytesSinceSnapshot;
      const appended = journal.append(records("c"));
      await expect(recovered(journal)).rejects.toThrow(StateError);
      await appended;
      expect(await recovered(journal)).toEqual(["1:s", "2=b", "3=c"]);
      expect(journal.bytesSinceSnapshot).toBe(bytes + 1);
      await journal.append(records("d"));
      expect(await recovered(journal)).toEqual(["1:s", "2=b", "3=c", "4=d"]);
    });

    test("nothing is stored before the journal was recovered to its end, and no two recover it at a time", async () => {
      await using place = await make();
      {
        await using journal = await openReady(place);
        await journal.append(records("a", "b"));
      }
      await using journal = await place.open();
      await expect(journal.append(records("x"))).rejects.toThrow(StateError);
      for await (const _ of journal.recover()) break;
      await expect(journal.append(records("x"))).rejects.toThrow(StateError);
      await expect(journal.saveSnapshot(1, [])).rejects.toThrow(StateError);
      await expect(recovered(journal)).rejects.toThrow(StateError);
    });

    test("a record that is too large is refused, and nothing of its append is stored", async () => {
      await using place = await make();
      await using journal = await openReady(place);
      const large = new Uint8Array(RECORD_BYTES_MAX + 1);
      await expect(journal.append([bytesOf("a"), large])).rejects.toThrow(LimitError);
      await journal.append(records("b"));
      expect(journal.position).toBe(1);
    });
  });

  describe(`${name} keeps snapshots`, () => {
    test("the newest snapshot comes first, and then only the records after it", async () => {
      await using place = await make();
      {
        await using journal = await openReady(place);
        await journal.append(records("a", "bb", "ccc"));
        await journal.saveSnapshot(2, records("x", "", "y"));
        expect(journal.bytesSinceSnapshot).toBe(3);
        await journal.append(records("dddd"));
        expect(journal.bytesSinceSnapshot).toBe(7);
      }
      await using journal = await place.open();
      expect(await recovered(journal)).toEqual(["2:x||y", "3=ccc", "4=dddd"]);
      expect(journal.bytesSinceSnapshot).toBe(7);
      expect(journal.position).toBe(4);
    });

    test("appends go on while a snapshot is written", async () => {
      await using place = await make();
      const journal = await openReady(place);
      await journal.append(records("a"));
      const saved = journal.saveSnapshot(1, [new Uint8Array(3_000_000).fill(120)]);
      const appended = Array.from({ length: 50 }, (_, at) => journal.append(records(`r${at}`)));
      await Promise.all([saved, ...appended]);
      await place.kill();
      await using next = await place.open();
      const [snapshot, ...rest] = await recovered(next);
      expect(snapshot?.length).toBe(3_000_002);
      expect(rest).toEqual(Array.from({ length: 50 }, (_, at) => `${at + 2}=r${at}`));
    });

    test("many snapshots, kills and appends lose nothing and keep positions", async () => {
      await using place = await make();
      let journal = await openReady(place);
      for (let round = 1; round <= 6; round++) {
        await journal.append(records(`a${round}`, `b${round}`, `c${round}`));
        await journal.saveSnapshot(3 * round - 1, records(`state ${round}`));
        if (round % 2 === 0) await place.kill();
        else await journal[Symbol.asyncDispose]();
        journal = await place.open();
        expect(await recovered(journal)).toEqual([`${3 * round - 1}:state ${round}`, `${3 * round}=c${round}`]);
        expect(journal.position).toBe(3 * round);
      }
      await journal[Symbol.asyncDispose]();
    });

    test("a snapshot behind every record leaves the positions as they were", async () => {
      await using place = await make();
      {
        await using journal = await openReady(place);
        await journal.append(records("a"));
        await journal.saveSnapshot(1, records("one"));
        await journal.append(records("b"));
        await journal.saveSnapshot(2, []);
        await journal.saveSnapshot(2, records("the same state again"));
        expect(journal.bytesSinceSnapshot).toBe(0);
      }
      await using journal = await place.open();
      expect(await recovered(journal)).toEqual(["2:"]);
      await journal.append(records("c"));
      expect(journal.position).toBe(3);
    });

    test("a snapshot of what is not on disk, or older than the newest, is refused", async () => {
      await using place = await make();
      await using journal = await openReady(place);
      await expect(journal.saveSnapshot(0, [])).rejects.toThrow(InvalidArgumentError);
      await journal.append(records("a", "b"));
      await expect(journal.saveSnapshot(3, [])).rejects.toThrow(InvalidArgumentError);
      await expect(journal.saveSnapshot(1.5, [])).rejects.toThrow(InvalidArgumentError);
      await journal.saveSnapshot(2, []);
      await expect(journal.saveSnapshot(1, [])).rejects.toThrow(InvalidArgumentError);
    });

    test("snapshots asked for at the same time are saved one after the other", async () => {
      await using place = await make();
      {
        await using journal = await openReady(place);
        await journal.append(records("a", "b", "c"));
        await Promise.all([1, 2, 3].map((position) => journal.saveSnapshot(position, records(`s${position}`))));
      }
      await using journal = await place.open();
      expect(await recovered(journal)).toEqual(["3:s3"]);
    });
  });

  describe(`${name} on a disk that does not keep up`, () => {
    test("without space an append is refused and stores nothing; the next ones go on when there is some", async () => {
      await using place = await make();
      {
        await using journal = await openReady(place);
        await journal.append(records("a"));
        place.setFull(true);
        const refused = [journal.append(records("b", "c")), journal.append(records("d"))];
        for (const append of refused) await expect(append).rejects.toThrow(JournalFullError);
        expect(journal.position).toBe(1);
        expect(journal.bytesSinceSnapshot).toBe(1);
        place.setFull(false);
        await journal.append(records("e"));
        expect(journal.position).toBe(2);
      }
      await using journal = await place.open();
      expect(await recovered(journal)).toEqual(["1=a", "2=e"]);
    });

    test("on a broken disk everything fails for good, and a restart shows what was kept before", async () => {
      await using place = await make();
      const journal = await openReady(place);
      await journal.append(records("a"));
      place.breakDisk();
      const failing = [journal.append(records("b")), journal.append(records("c"))];
      for (const append of failing) await expect(append).rejects.toThrow(JournalFailedError);
      await expect(journal.append(records("d"))).rejects.toThrow(JournalFailedError);
      await expect(journal.saveSnapshot(1, [])).rejects.toThrow(JournalFailedError);
      await expect(recovered(journal)).rejects.toThrow(JournalFailedError);
      await journal[Symbol.asyncDispose]();
      await using next = await place.open();
      const back = await recovered(next);
      expect(back[0]).toBe("1=a");
      expect(["1=a", "2=b", "3=c"].slice(0, back.length)).toEqual(back);
    });
  });
}
