"""The physics of the plant: mass and energy balances of six modules, in closed formulas and without noise.

A boiler of 420 t/h of steam at 13.5 MPa and 540 °C with a reheater (a unit of about 135 MW); its mills are taken as
one. Every function takes arrays of one shape (or plain numbers) and returns a named tuple of the same shape: what the
plant measures comes first, the streams that close a balance after it. Steady states only.

Units    flows t/h; temperatures °C; pressures MPa; shares 0 to 1 unless the name says percent; heat flows GJ/h, so
         that 1 t/h times 1 MJ/kg is 1 GJ/h. Volumes of gas are in m3 at 0 °C and 101.325 kPa.
Kinds    [balance] conserves mass or energy. [law] is a published law. [typical] is a shape with coefficients of the
         usual size, chosen so that each quantity has an optimum inside its range; no plant was measured for it.
Sources  (1) Bond (1952), The third theory of comminution, Trans. AIME 193, 484-494.
         (2) ASME PTC 4.3, Air heaters: leakage from oxygen, gas temperature corrected to no leakage.
         (3) Stoichiometry of combustion on the ultimate analysis; heating value by Mendeleev's formula.
         (4) Losses of a boiler by the indirect method, as in ASME PTC 4 and GB/T 10184.
         (5) Linearized steam tables (IAPWS-IF97): steam around 13.5 MPa and 540 °C, water between 200 and 260 °C.
         (6) Choked flow through the turbine's valves: flow ~ opening * pressure / sqrt(absolute temperature).
"""

from typing import Any, NamedTuple

import numpy as np

Array = Any  # float64 array, or a float

KJ_PER_KCAL = 4.1868
CP_AIR, CP_WATER, CP_COAL, CP_GAS = 1.01, 4.19, 1.2, 1.08  # kJ/(kg K); coal is dry

# Feeder: belt with a bed of coal, driven through a gear
DRUM_M, GEAR, BED_KG_M = 0.30, 60.0, 76.5  # drum diameter, motor turns per drum turn, coal on a meter of belt

# Primary air: two dampers in parallel between a fan and the mill
PRESSURE_PA, GAS_CONSTANT = 105e3, 287.05
FAN_PA, FAN_SLOPE = 2500.0, 0.473  # pressure at no flow; its loss per square of the flow, Pa / (kg/s)2
HOT_M2, COLD_M2, DAMPER_EXPONENT = 1.15, 0.62, 1.6

# Mill
WORK_INDEX = 13.0  # kWh/t of a bituminous coal
FEED_UM = 20_000.0  # 80 % of the raw coal is finer
FINENESS_UM, AIR_T_H = 75.0, 117.0  # 80 % of the powder is finer than this at this flow of air
IDLE_KW, VOLT_KV, POWER_FACTOR = 150.0, 6.0, 0.82
EVAPORATION = 2400.0  # kJ/kg of water at the temperatures of a mill
POWDER_MOISTURE = 0.025  # powder is booked at this moisture, whatever dries later on its way
BOUND_WATER = 0.010  # kg/kg dry coal that no mill drives out

# Powder as fired, percent of mass: sums to 100
C, H, O, N, S, ASH, WATER = 58.5, 3.7, 8.0, 1.0, 0.8, 25.5, 2.5  # noqa: E741
LHV = (339 * C + 1030 * H - 109 * (O - S) - 25 * WATER) / 1000  # MJ/kg (3)
AIR_M3 = 0.0889 * (C + 0.375 * S) + 0.265 * H - 0.0333 * O  # dry air for complete combustion, m3/kg (3)
CO2_M3, SO2_M3, N2_M3 = 0.01866 * C, 0.007 * S, 0.79 * AIR_M3 + 0.008 * N
STEAM_M3 = 0.111 * H + 0.0124 * WATER + 0.0161 * AIR_M3
OXYGEN = 21.0  # percent in dry air
REFERENCE_O2 = 6.0  # percent: emissions are told at this much oxygen
CP_GAS_M3 = 1.38e-3  # MJ/(m3 K)
AMBIENT = 25.0

# Steam (5) and the unit at full load
COAL_0, WATER_0, STEAM_C, STEAM_MPA = 56.0, 420.0, 540.0, 13.5
STEAM_KJ, STEAM_CP, STEAM_SLOPE = 3438.5, 2.71, 10.7  # enthalpy there, per K, and lost per MPa
WATER_KJ, WATER_AT, WATER_CP = 1037.6, 240.0, 4.78
REHEAT = 0.148  # share of the heat that the reheater takes
HEAT_0 = WATER_0 * (STEAM_KJ - (WATER_KJ + WATER_CP * (228.0 - WATER_AT))) / 1000 / (1 - REHEAT)  # GJ/h
ENERGY_0 = HEAT_0 * 1e6 / KJ_PER_KCAL  # kcal/h that the turbine asks for at full load

# Feedwater
DRUM_MPA, VALVE = 15.0, 272.0  # t/h per sqrt(MPa)
DEAERATOR, EXTRACTION, CONDENSER_GAP = 158.0, 262.0, 5.0
COOLER, HEATERS = 0.45, 1.6  # effectiveness of the flue-gas cooler, transfer units of the heaters


class Feeder(NamedTuple):
    """Coal feed, t/h, and the speed of the belt, m/s."""

    feed: Array
    belt_speed: Array


def feeder(motor_rpm: Array, ratio: Array) -> Feeder:
    """Return the coal that a belt carries: speed times coal on a meter of it [balance].

    Args:
        motor_rpm: speed of the motor, 1/min.
        ratio: filling of the bed, 1 is as calibrated.
    """
    speed = np.pi * DRUM_M * motor_rpm / GEAR / 60
    return Feeder(speed * BED_KG_M * ratio * 3.6, speed)


class Fan(NamedTuple):
    """Air to the mill and its temperature; the hot and the cold stream."""

    air: Array
    temperature: Array
    hot: Array
    cold: Array


def fan(hot_valve: Array, cold_valve: Array, hot_c: Array, cold_c: Array) -> Fan:
    """Return the primary air behind two dampers (percent open), mixed without loss of mass or heat [balance].

    Each damper passes area * sqrt(2 * density * dp), where dp is what the fan has left at the sum of both [law]:
    dp = FAN_PA - FAN_SLOPE * flow^2 and flow = s * sqrt(dp) give dp = FAN_PA / (1 + FAN_SLOPE * s^2).
    """
    hot_s = _opening(HOT_M2, hot_valve) * np.sqrt(2 * PRESSURE_PA / GAS_CONSTANT / (hot_c + 273.15))
    cold_s = _opening(COLD_M2, cold_valve) * np.sqrt(2 * PRESSURE_PA / GAS_CONSTANT / (cold_c + 273.15))
    root = np.sqrt(FAN_PA / (1 + FAN_SLOPE * (hot_s + cold_s) ** 2))
    hot, cold = 3.6 * hot_s * root, 3.6 * cold_s * root
    return Fan(hot + cold, (hot * hot_c + cold * cold_c) / (hot + cold), hot, cold)


def _opening(area: float, percent: Array) -> Array:
    return area * (np.asarray(percent) / 100) ** DAMPER_EXPONENT


class Mill(NamedTuple):
    """Powder (at POWDER_MOISTURE) and mill current, A; then streams, t/h, the power, kW, and the outlet, °C.

    ``water`` leaves as the powder's moisture, ``evaporated`` with the air; ``rejects`` are dry coal.
    """

    powder: Array
    current: Array
    dry: Array
    water: Array
    evaporated: Array
    rejects: Array
    power: Array
    outlet: Array


def mill(air: Array, air_c: Array, feed: Array, coal_c: Array, moisture: Array, work_index: Array = WORK_INDEX) -> Mill:
    """Return what leaves the mill and the current that it draws: the physical posing.

    Args:
        air, air_c: primary air and its temperature.
        feed, coal_c, moisture: raw coal, its temperature and its moisture in percent.
        work_index: of the coal, kWh/t; no plant measures it.
    """
    size, residual = _size(air), _residual(air, air_c, feed, moisture)
    wet = work_index * _stickiness(residual)
    power = IDLE_KW + wet * feed * _bond(size)
    return _milled(air, air_c, feed, coal_c, moisture, size, residual, wet, power)


def mill_given_current(air: Array, air_c: Array, feed: Array, current: Array, coal_c: Array, moisture: Array) -> Mill:
    """Return what leaves the mill if it draws this current: the posing as given, with the current as an input.

    Bond's law is solved for the work index that explains the current, so both posings agree wherever the current is
    the one that the coal causes. A current that nobody causes makes the coal softer than it is.
    """
    size, residual = _size(air), _residual(air, air_c, feed, moisture)
    power = current * np.sqrt(3) * VOLT_KV * POWER_FACTOR
    wet = np.maximum(power - IDLE_KW, 1.0) / (feed * _bond(size))
    return _milled(air, air_c, feed, coal_c, moisture, size, residual, wet, power)


def _size(air: Array) -> Array:
    """Return the size that 80 % of the powder pass, in um: the air carries grains of ~ sqrt(velocity), Stokes [law]."""
    return FINENESS_UM * np.sqrt(air / AIR_T_H)


def _bond(size: Array) -> Array:
    """Return the work a ton and unit of work index (1)."""
    return 10 * (1 / np.sqrt(size) - 1 / np.sqrt(FEED_UM))


def _residual(air: Array, air_c: Array, feed: Array, moisture: Array) -> Array:
    """Return the moisture of the powder, kg/kg dry: less by heat offered above 70 °C over heat needed [typical]."""
    dry = feed * (1 - moisture / 100)
    raw = moisture / (100 - moisture)
    offered = air * CP_AIR * (air_c - 70) / (dry * raw * EVAPORATION)
    return BOUND_WATER + (raw - BOUND_WATER) * np.exp(-1.1 * offered)


def _stickiness(residual: Array) -> Array:
    return 1 + 3 * (residual - 0.03)


def _milled(
    air: Array,
    air_c: Array,
    feed: Array,
    coal_c: Array,
    moisture: Array,
    size: Array,
    residual: Array,
    wet: Array,
    power: Array,
) -> Mill:
    dry_in, raw = feed * (1 - moisture / 100), moisture / (100 - moisture)
    spilled = 0.004 + 0.015 * np.exp(-5 * (air / feed - 1.6)) * (wet / WORK_INDEX) ** 2  # too little air [typical]
    coarse = 0.008 * (size / FINENESS_UM) ** 6  # too much: grains that do not burn in flight [typical]
    rejects = dry_in * (spilled + coarse) / (1 + spilled + coarse)
    dry = dry_in - rejects  # [balance]
    evaporated = dry_in * (raw - residual)
    heat = air * CP_AIR * air_c + dry_in * (CP_COAL + raw * CP_WATER) * coal_c + 3.6 * power - evaporated * EVAPORATION
    outlet = heat / (air * CP_AIR + dry_in * (CP_COAL + raw * CP_WATER))  # [balance]
    current = power / (np.sqrt(3) * VOLT_KV * POWER_FACTOR)
    return Mill(dry / (1 - POWDER_MOISTURE), current, dry, dry_in * residual, evaporated, rejects, power, outlet)


class Preheater(NamedTuple):
    """Oxygen behind the preheater, percent, and gas temperature corrected to no leakage; leakage, kg air/kg gas."""

    o2: Array
    corrected: Array
    leakage: Array


def preheater(o2: Array, gas_in: Array, gas: Array, design: float = 215.0) -> Preheater:
    """Return what the gas is behind the air preheater.

    Args:
        o2: before it, percent.
        gas_in, gas: temperature before it, and measured behind it.
        design: fall of temperature at which the hot rotor fits its seals; it gapes on both sides of it [typical].

    Leaking air mixes with the gas: oxygen by moles and heat by mass are conserved [balance], which is (2).
    """
    leakage = 0.055 + 1.2e-5 * (gas_in - gas - design) ** 2
    moles = leakage * 29.5 / 28.96  # of air, for each of gas
    o2_out = (o2 + OXYGEN * moles) / (1 + moles)
    return Preheater(o2_out, gas + leakage * CP_AIR / CP_GAS * (gas - AMBIENT), leakage)


class Feedwater(NamedTuple):
    """Mixed temperature and flow of the water that becomes main steam; the pump's flow, the heaters' temperature."""

    temperature: Array
    flow: Array
    pumped: Array
    heated: Array


def feedwater(spray: Array, reheat_spray: Array, pressure: Array, gas: Array, cooling: Array) -> Feedwater:
    """Return the water to the boiler.

    Args:
        spray, reheat_spray: to the superheater (taken before the heaters, so it arrives cold) and to the reheater.
        pressure: of the pumps; the valve passes ~ sqrt(pressure - drum) [law].
        gas: flue gas that a cooler uses for the condensate. cooling: circulating water behind the condenser.
    """
    pumped = VALVE * np.sqrt(np.maximum(pressure - DRUM_MPA, 0.01))
    flow = pumped - reheat_spray  # [balance]
    condensate = cooling + CONDENSER_GAP
    warm = condensate + COOLER * (WATER_0 / flow) ** 0.3 * (gas - condensate)
    heated = EXTRACTION - (EXTRACTION - warm) * np.exp(-HEATERS * (WATER_0 / flow) ** 0.3)  # effectiveness, NTU [law]
    mixed = ((flow - spray) * heated + spray * DEAERATOR) / flow  # [balance]
    return Feedwater(mixed, flow, pumped, heated)


class Boiler(NamedTuple):
    """Efficiency (%), SO2, NOx, CO (mg/m3 at 6 % oxygen), CO2 (ppm, dry), main steam °C and MPa; then losses, percent.

    ``gas_m3`` is dry gas and ``burnout`` the share of the carbon that burns.
    """

    efficiency: Array
    so2: Array
    nox: Array
    co: Array
    co2: Array
    steam_c: Array
    steam_mpa: Array
    stack: Array
    unburned: Array
    monoxide: Array
    other: Array
    gas_m3: Array
    burnout: Array


def boiler(
    coal: Array, o2_out: Array, corrected: Array, water_c: Array, water: Array, energy: Array, o2: Array
) -> Boiler:
    """Return efficiency, emissions and steam.

    Args:
        coal: powder fired. o2: oxygen in the furnace, percent.
        o2_out, corrected: behind the preheater: oxygen, and temperature corrected to no leakage.
        water_c, water: feedwater.
        energy: what the turbine asks of the boiler, kcal/h: it opens the turbine's valves by as much.
    """
    load = coal / COAL_0
    gas = _dry_gas(o2_out)
    co = 30 + 160 * np.exp(-1.8 * (o2 - 2.4) - 0.4 * (o2_out - 5))  # [typical]
    unburned = 1.1 * np.exp(-0.7 * (o2 - 3.0)) * load**0.5 + 0.04  # percent of the heating value [typical]
    stack = 100 * (gas + STEAM_M3) * CP_GAS_M3 * (corrected - AMBIENT) / LHV  # (4)
    monoxide = 100 * _dry_gas(REFERENCE_O2) * co * 10.1e-6 / LHV  # 10.1 kJ/g
    other = 0.35 / load + 0.15  # radiation, ash [typical]
    efficiency = 100 - stack - unburned - monoxide - other
    nox = 380 * np.exp(0.42 * (o2 - 3.0)) * load**0.6  # [typical]
    kept = 0.06 + 0.006 * (o2 - 3.0) - 0.04 * (load - 1)  # sulfur bound in ash [typical]
    burnout = 1 - unburned / 100 * LHV / (0.337 * C)  # 33.7 MJ/kg carbon
    so2 = 2 * S / 100 * (1 - kept) * 1e6 / _dry_gas(REFERENCE_O2)
    co2 = 1e6 * CO2_M3 * burnout / gas
    steam_c, steam_mpa = _steam(coal * LHV * efficiency / 100, water_c, water, energy)
    return Boiler(efficiency, so2, nox, co, co2, steam_c, steam_mpa, stack, unburned, monoxide, other, gas, burnout)


def _dry_gas(o2: Array) -> Array:
    """Return the dry gas of a kilogram of powder at this much oxygen in it, percent, m3 (3)."""
    complete = CO2_M3 + SO2_M3 + N2_M3
    return complete + o2 / (OXYGEN - o2) * complete  # excess e: 21 e = o2 (complete + e)


def water_kj(temperature: Array) -> Array:
    """Return the enthalpy of feedwater, kJ/kg (5)."""
    return WATER_KJ + WATER_CP * (temperature - WATER_AT)


def steam_kj(temperature: Array, pressure: Array) -> Array:
    """Return the enthalpy of main steam, kJ/kg (5)."""
    return STEAM_KJ + STEAM_CP * (temperature - STEAM_C) - STEAM_SLOPE * (pressure - STEAM_MPA)


def _steam(heat: Array, water_c: Array, water: Array, energy: Array) -> tuple[Array, Array]:
    """Return temperature and pressure of main steam that takes this heat, GJ/h.

    Heat is conserved [balance]: water * (steam_kj - water_kj) = (1 - REHEAT) * heat; and (6) with its root linear in
    the temperature. Both together are two linear equations.
    """
    at_540 = STEAM_MPA * (water / WATER_0) * (ENERGY_0 / energy)
    slope = at_540 / (2 * (STEAM_C + 273.15))
    surplus = water_kj(water_c) + (1 - REHEAT) * heat * 1000 / water - STEAM_KJ
    above = (surplus + STEAM_SLOPE * (at_540 - STEAM_MPA)) / (STEAM_CP - STEAM_SLOPE * slope)
    return STEAM_C + above, at_540 + slope * above
