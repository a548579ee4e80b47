"""What an address has done, and which ones are to be kept out.

formats.py   the blocklist as programs read it that keep addresses out
"""
