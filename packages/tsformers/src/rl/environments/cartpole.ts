import { randomKey, uniform } from "@tsformers/engine";
import type { Environment } from "../environment.ts";

const gravity = 9.8;
const poleMass = 0.1;
const totalMass = 1 + poleMass;
/** Half the length of the pole, in metres. */
const halfLength = 0.5;
/** Newtons with which an action pushes the cart. */
const force = 10;
const secondsPerStep = 0.02;
const longest = 500;
/** Beyond them the pole has fallen, or the cart has left the track: radians and metres. */
const mostAngle = (12 * 2 * Math.PI) / 360;
const mostPosition = 2.4;

/**
 * Balance a pole on a cart by pushing the cart left (0) or right (1): Gymnasium's CartPole-v1. Each step gives a reward of 1; an episode ends when the pole
 * falls or the cart leaves the track, and is cut off after 500 steps.
 *
 * With the angle θ of the pole and the position x of the cart, `a = (F + m·l·θ'²·sin θ)/M`, `θ'' = (g·sin θ − a·cos θ)/(l·(4/3 − m·cos² θ/M))` and
 * `x'' = a − m·l·θ''·cos θ/M`, integrated by Euler's method. Observations are x, x', θ, θ'; at the beginning each is uniform in ±0.05.
 *
 * @source Barto, Sutton & Anderson 1983, "Neuronlike Adaptive Elements That Can Solve Difficult Learning Control Problems"; constants and limits of
 *   Towers et al. 2024, arXiv:2407.17032
 */
export function cartPole(): Environment {
  let state: CartPoleState = [0, 0, 0, 0];
  let steps = 0;
  return {
    name: "cartpole",
    features: 4,
    actions: { kind: "discrete", count: 2 },
    longest,
    reset: (seed) => {
      const [x, speed, angle, turning] = uniform(randomKey(seed), [4], { low: -0.05, high: 0.05 }).toNumbers();
      state = [x!, speed!, angle!, turning!];
      steps = 0;
      return { observation: state };
    },
    step: (action) => {
      state = cartPoleAfter(state, action === 1 ? force : -force);
      steps += 1;
      const [x, , angle] = state;
      const terminated = Math.abs(x) > mostPosition || Math.abs(angle) > mostAngle;
      return { observation: state, reward: 1, terminated, truncated: !terminated && steps >= longest };
    },
  };
}

/** Metres, metres a second, radians, radians a second. */
export type CartPoleState = readonly [x: number, speed: number, angle: number, turning: number];

/** The state one step later, while a force pushes the cart. */
export function cartPoleAfter([x, speed, angle, turning]: CartPoleState, newtons: number): CartPoleState {
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const push = (newtons + poleMass * halfLength * turning ** 2 * sin) / totalMass;
  const turn = (gravity * sin - push * cos) / (halfLength * (4 / 3 - (poleMass * cos ** 2) / totalMass));
  const acceleration = push - (poleMass * halfLength * turn * cos) / totalMass;
  return [
    x + secondsPerStep * speed,
    speed + secondsPerStep * acceleration,
    angle + secondsPerStep * turning,
    turning + secondsPerStep * turn,
  ];
}
