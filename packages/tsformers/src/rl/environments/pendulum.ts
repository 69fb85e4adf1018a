import { randomKey, uniform } from "@tsformers/engine";
import type { Environment } from "../environment.ts";

const gravity = 10;
const mass = 1;
const length = 1;
const secondsPerStep = 0.05;
const mostSpeed = 8;
const mostTorque = 2;
const longest = 200;

/**
 * Swing a pendulum up and hold it there by a torque between −2 and 2, too weak to lift it at once: Gymnasium's Pendulum-v1. Episodes are cut off after
 * 200 steps.
 *
 * With the angle θ, 0 being upright, and the torque u, `θ'' = 3·g/(2·l)·sin θ + 3·u/(m·l²)`; the speed θ' is kept within ±8, and the angle moves by the new
 * speed. The reward is `−(θ² + 0.1·θ'² + 0.001·u²)` of the state before, with θ between −π and π. Observations are cos θ, sin θ, θ'; at the beginning
 * θ is uniform in ±π, θ' in ±1.
 *
 * @source Towers et al. 2024, "Gymnasium", arXiv:2407.17032
 */
export function pendulum(): Environment {
  let [angle, speed, steps] = [0, 0, 0];
  const observe = (): readonly number[] => [Math.cos(angle), Math.sin(angle), speed];
  return {
    name: "pendulum",
    features: 3,
    actions: { kind: "continuous", width: 1, low: -mostTorque, high: mostTorque },
    longest,
    reset: (seed) => {
      const [first, second] = uniform(randomKey(seed), [2], { low: -1, high: 1 }).toNumbers();
      [angle, speed, steps] = [first! * Math.PI, second!, 0];
      return { observation: observe() };
    },
    step: (action) => {
      const [torque] = action as readonly [number];
      const next = pendulumAfter({ angle, speed }, torque);
      ({ angle, speed } = next);
      const { reward } = next;
      steps += 1;
      return { observation: observe(), reward, terminated: false, truncated: steps >= longest };
    },
  };
}

/**
 * Angle (radians, 0 upright) and speed (radians a second) one step later, and the reward.
 *
 * @param torque beyond ±2 it counts as ±2
 */
export function pendulumAfter(
  { angle, speed: before }: { readonly angle: number; readonly speed: number },
  torque: number,
): { readonly angle: number; readonly speed: number; readonly reward: number } {
  const u = clip(torque, mostTorque);
  const reward = -(aroundZero(angle) ** 2 + 0.1 * before ** 2 + 0.001 * u ** 2);
  const acceleration = ((3 * gravity) / (2 * length)) * Math.sin(angle) + (3 / (mass * length ** 2)) * u;
  const speed = clip(before + acceleration * secondsPerStep, mostSpeed);
  return { angle: angle + speed * secondsPerStep, speed, reward };
}

function clip(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}

/** The same angle between −π and π. */
function aroundZero(angle: number): number {
  const turns = (angle + Math.PI) / (2 * Math.PI);
  return (turns - Math.floor(turns)) * 2 * Math.PI - Math.PI;
}
