/**
 * A user's script for tests: holds one lock, and once the event "go" is set, wants a second one. Says what it has, and at last what became of the first.
 * Arguments: the names of both.
 */
import { Manager } from "heddle";

const [, , first = "", second = ""] = process.argv;
await using manager = new Manager();
const guard = await manager.lock({ name: first }).acquire();
console.log(`has ${first}`);
await manager.event({ name: "go" }).wait();
const other = await manager.lock({ name: second }).acquire();
console.log(`has ${second}`);
const written = guard.run(() => manager.value(0, { name: "written" }).set(1));
console.log(`write: ${await outcomeOf(written)}, release: ${await outcomeOf(guard.release())}`);
await other.release();

function outcomeOf(done: Promise<unknown>): Promise<string> {
  return done.then(
    () => "done",
    (error) => error.name,
  );
}
