import { describe, expect, it } from "vitest";
import { allocate, type DType, isFloat, sizeOf, typedArrayName } from "../../src/array/dtype.ts";
import { convert, fromNumbers, full, NDArray, ndarray } from "../../src/array/nd-array.ts";
import { normal, truncatedNormal, uniform } from "../../src/array/random.ts";
import { randomKey } from "../../src/array/random-key.ts";

const dtypes: readonly DType[] = ["float32", "float16", "float64", "int32", "int64", "uint8", "bool"];

describe("dtypes", () => {
  it.each(dtypes)("%s: allocate gives zeros of the stated width", (dtype) => {
    const data = allocate(dtype, 3);
    expect(data.BYTES_PER_ELEMENT).toBe(sizeOf(dtype));
    expect(data.constructor.name).toBe(typedArrayName(dtype));
    expect(Array.from(data, Number)).toEqual([0, 0, 0]);
    expect(isFloat(dtype)).toBe(dtype.startsWith("float"));
  });
});

describe("ndarray", () => {
  it("reads nested lists", () => {
    const array = ndarray([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([array.shape, array.dtype, array.toNumbers()]).toEqual([[2, 3], "float32", [1, 2, 3, 4, 5, 6]]);
    expect(ndarray(7).shape).toEqual([]);
    expect(ndarray([[], []]).shape).toEqual([2, 0]);
    expect(ndarray([1, 2, 3, 4], [2, 2], "int64").data).toEqual(new BigInt64Array([1n, 2n, 3n, 4n]));
  });

  it("names both shapes of a ragged list", () => {
    expect(() => ndarray([[1, 2], [3]])).toThrow(new RangeError("ndarray: ragged nested list, [2] beside [1]"));
    expect(() => ndarray([1, [2]])).toThrow("ndarray: ragged nested list, [] beside [1]");
    expect(() => ndarray([[[1]], [[1, 2]]])).toThrow("ndarray: ragged nested list, [1, 1] beside [1, 2]");
  });

  it("keeps a typed array as it is, with the dtype it stands for", () => {
    const data = new Float64Array([1, 2]);
    expect(ndarray(data).data).toBe(data);
    expect(ndarray(data).dtype).toBe("float64");
    expect(ndarray(new Uint8Array([1]), [1], "bool").dtype).toBe("bool");
    expect(() => ndarray(new Uint16Array(2))).toThrow("a Uint16Array needs an explicit dtype (float16 bits)");
    expect(() => ndarray(new Int8Array(2) as unknown as Uint8Array)).toThrow("in a Int8Array");
  });

  it("refuses data that does not fit its shape or dtype", () => {
    expect(() => ndarray(new Float32Array(5), [2, 3])).toThrow(
      new RangeError("NDArray: shape [2, 3] holds 6 elements, the data has 5"),
    );
    expect(() => fromNumbers([1], [1], "float" as never)).toThrow('as dtype, got "float"');
    const swapped: [never, never, never][] = [
      [new Float32Array(2), [2], "float32"],
      [[2], new Float32Array(2), "float32"],
      [new Float32Array(2), [2], undefined],
      [[2], "float", new Float32Array(2)],
      [[2], "float32", [1, 2]],
      [undefined, undefined, undefined],
    ] as never;
    for (const [shape, dtype, data] of swapped) {
      const make = () => new NDArray(shape, dtype, data);
      expect(make).toThrow("expected a shape (a list of numbers), a dtype and a typed array, got");
      expect(make).not.toThrow(/undefined|Cannot read/);
    }
    expect(() => new NDArray(swapped[2]![0], swapped[2]![1], swapped[2]![2])).toThrow(
      "got a Float32Array, a list, nothing",
    );
    expect(() => new NDArray([-1, -2], "float32", new Float32Array(2))).toThrow("got [-1, -2]");
    expect(() => new NDArray([0.5, 2], "float32", new Float32Array(1))).toThrow("got [0.5, 2]");
    expect(() => new NDArray([2], "int32", new Float32Array(2))).toThrow(
      new TypeError("NDArray: expected a Int32Array for int32, got Float32Array"),
    );
  });

  it("item wants exactly one element", () => {
    expect(ndarray([[2.5]]).item()).toBe(2.5);
    expect(() => ndarray([1, 2]).item()).toThrow("item: expected one element, the array has shape [2]");
  });

  it("toNumbers refuses an int64 element that a number cannot hold", () => {
    expect(ndarray(new BigInt64Array([-(2n ** 53n) + 1n])).toNumbers()).toEqual([-(2 ** 53) + 1]);
    expect(() => ndarray(new BigInt64Array([2n ** 53n + 1n])).toNumbers()).toThrow("9007199254740993");
  });
});

describe("full and fromNumbers", () => {
  it.each(dtypes)("%s holds 1 as 1", (dtype) => {
    expect(full([2, 2], 1, dtype).toNumbers()).toEqual([1, 1, 1, 1]);
    expect(fromNumbers([0, 1], [2], dtype).toNumbers()).toEqual([0, 1]);
  });

  it("bool elements are 0 or 1", () => {
    expect(full([2], 5, "bool").toNumbers()).toEqual([1, 1]);
    expect(fromNumbers([0, 256, -1, 0.5], [4], "bool").toNumbers()).toEqual([0, 1, 1, 1]);
  });

  it("full keeps the sign of zero", () => {
    expect(full([1], -0, "float16").data[0]).toBe(0x8000);
  });
});

describe("elements that are made when they are looked at", () => {
  it("are made once, and not for shapes and sizes", () => {
    let made = 0;
    const array = new NDArray([2, 2], "float32", () => {
      made++;
      return new Float32Array([1, 2, 3, 4]);
    });
    expect([array.shape, array.size, made]).toEqual([[2, 2], 4, 0]);
    expect(array.data).toBe(array.data);
    expect([array.toNumbers(), made]).toEqual([[1, 2, 3, 4], 1]);
    expect(array).toEqual(new NDArray([2, 2], "float32", new Float32Array([1, 2, 3, 4])));
    expect(array).not.toEqual(new NDArray([2, 2], "float32", new Float32Array(4)));
  });

  it("are checked like others", () => {
    const array = new NDArray([3], "float32", () => new Float32Array(2));
    expect(() => array.data).toThrow("NDArray: shape [3] holds 3 elements, the data has 2");
  });

  it("of full and random arrays need no memory before", () => {
    const shape = [1e6, 1e6];
    const key = randomKey(1);
    for (const array of [full(shape, 1), normal(key, shape), uniform(key, shape), truncatedNormal(key, shape)])
      expect(array.size).toBe(1e12);
  });
});

describe("convert", () => {
  it.each(dtypes.flatMap((from) => dtypes.map((to) => [from, to] as const)))("%s to %s keeps 0 and 1", (from, to) => {
    const converted = convert(fromNumbers([0, 1], [2, 1], from), to);
    expect([converted.dtype, converted.shape, converted.toNumbers()]).toEqual([to, [2, 1], [0, 1]]);
  });

  it("returns the same array for the same dtype", () => {
    const array = ndarray([1]);
    expect(convert(array, "float32")).toBe(array);
  });

  it.each(["int32", "int64"] as const)("truncates floats towards zero for %s", (to) => {
    expect(
      convert(ndarray([1.9, -1.9, -0.5]), to)
        .toNumbers()
        .map((x) => x + 0),
    ).toEqual([1, -1, 0]);
    expect(convert(fromNumbers([1.75, -1.75], [2], "float16"), to).toNumbers()).toEqual([1, -1]);
  });

  it("makes bool of whatever is not zero", () => {
    expect(convert(ndarray([0, -0, 0.25, Number.NaN]), "bool").toNumbers()).toEqual([0, 0, 1, 1]);
    expect(convert(ndarray(new BigInt64Array([2n ** 60n, 0n])), "bool").toNumbers()).toEqual([1, 0]);
  });

  it("rounds wide int64 for floats and keeps their low bits for int32", () => {
    const wide = ndarray(new BigInt64Array([2n ** 60n + 7n]));
    expect(convert(wide, "float64").item()).toBe(2 ** 60);
    expect(convert(wide, "int32").item()).toBe(7);
    expect(convert(ndarray(new BigInt64Array([-1n])), "uint8").item()).toBe(255);
  });

  it("rounds to half precision", () => {
    expect(convert(ndarray([1 + 2 ** -12, 70000]), "float16").toNumbers()).toEqual([1, Number.POSITIVE_INFINITY]);
  });

  it("refuses to make int64 of what is not finite", () => {
    expect(() => convert(ndarray([1, Number.NaN]), "int64")).toThrow(
      "convert: expected finite numbers for int64, got NaN",
    );
  });
});
