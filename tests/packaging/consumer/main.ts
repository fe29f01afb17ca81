/** A user's program: run, and type-checked, against the packed package alone. */
import { type MapOptions, Pool, range } from "heddle";
import { cube } from "./tasks.ts";

const options: MapOptions = { chunkSize: 100 };

await using pool = new Pool({ processes: 2 });
const cubes: number[] = await pool.map(cube, range(1_000), options);
// @ts-expect-error a cube is no text: the declarations say so, and are not `any`
const texts: string[] = cubes;
console.log(JSON.stringify({ count: texts.length, last: cubes.at(-1) }));
