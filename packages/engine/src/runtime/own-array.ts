import { shapeText } from "../array/shape.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { Device, DeviceArray } from "./device.ts";

/** Narrows an array to the type that `device` makes. @throws Error when it belongs to another device */
export function ownArray<Own extends DeviceArray>(device: Device, array: DeviceArray): Own {
  if (array.device === device) return array as Own;
  throw new Error(
    `${device.name}: expected an array of this device, got a ${typeText(array)} of another, ${array.device.name}; read() it and hand that over`,
  );
}

/** The error for an array without memory. */
export function goneError({ name }: Device, array: ArrayType): Error {
  return new Error(`${name}: expected a living array, got a ${typeText(array)} that was disposed of or donated`);
}

function typeText({ dtype, shape }: ArrayType): string {
  return `${dtype}${shapeText(shape)}`;
}
